//! The overlap policy: what becomes of a due run while earlier ones of its job are unfinished.

use std::collections::{BTreeMap, BTreeSet};

use super::{Age, BlockReason, Candidate, End, How, SkipReason, Verdict, WaitReason};
use crate::id::RunId;
use crate::job::Overlap;

/// What of a job cannot change until a judgement is written down.
#[derive(Debug, Clone, Default)]
pub struct JobStanding {
    /// Runs that were admitted and are not final, the oldest first.
    pub unfinished: Vec<RunId>,
    /// Blocked runs that make older ones give way, and so give way to younger ones.
    pub replaceable: Vec<(Age, RunId)>,
}

/// What the overlap policy says of one run.
pub(super) enum Decision {
    /// It may go, once these have been ended.
    Go(Vec<End>),
    /// That is its verdict, and these give way.
    Stop(Verdict, Vec<End>),
}

impl Decision {
    fn stop(verdict: Verdict) -> Self {
        Self::Stop(verdict, Vec::new())
    }
}

/// The runs of one job in a batch.
#[derive(Default)]
pub(super) struct JobState {
    /// Those without a verdict yet.
    open: BTreeSet<Age>,
    /// Those that wait to be judged on their overlap again, and for what.
    waiting: BTreeMap<Age, WaitReason>,
    /// Those that are admitted now.
    admitted: BTreeMap<Age, Overlap>,
    /// Those that are blocked now.
    blocked: BTreeSet<Age>,
    /// Those that make older ones give way.
    replacing: BTreeMap<Age, RunId>,
    /// Unfinished runs that were ended for those.
    killed: BTreeSet<RunId>,
    /// Blocked runs that have given way to those.
    replaced: BTreeSet<RunId>,
}

impl JobState {
    pub(super) fn add(&mut self, candidate: &Candidate) {
        // A retry is among the unfinished ones already.
        if !candidate.is_retry() {
            self.open.insert(candidate.age());
            if candidate.overlap.replaces() {
                self.replacing.insert(candidate.age(), candidate.run);
            }
        }
    }

    /// What the policy says of a run that is no retry.
    pub(super) fn decide(&self, run: &Candidate, standing: Option<&JobStanding>) -> Decision {
        if run.overlap == Overlap::Allow {
            return Decision::Go(Vec::new());
        }
        let age = run.age();
        let most = usize::try_from(run.max_running).unwrap_or(usize::MAX).max(1);
        let beside = self.admitted.iter().filter(|(at, overlap)| **at < age || **overlap != Overlap::Allow);
        let beside = beside.count();
        let certain = standing.map_or(0, |standing| self.left(standing).count()) + beside;
        let seen = usize::try_from(run.unfinished).unwrap_or(usize::MAX).saturating_sub(self.killed.len());
        let possible = certain.max(seen + beside);
        let place = Place { age, most, full: certain >= most, may_be_full: possible >= most };
        match run.overlap {
            Overlap::Allow => Decision::Go(Vec::new()),
            Overlap::Skip => self.skip(&place, possible),
            Overlap::QueueOne => self.queue_one(run, &place),
            Overlap::QueueAll => self.queue_all(run, &place),
            Overlap::CancelRunning | Overlap::KillRunning => self.replace(run, &place, standing, certain),
        }
    }

    fn skip(&self, place: &Place, possible: usize) -> Decision {
        if place.full {
            return Decision::stop(Verdict::Skip(SkipReason::Overlap));
        }
        // Which of them goes is not decided yet.
        let undecided = self.older_undecided(place.age);
        if place.may_be_full || possible + undecided.0 >= place.most {
            return Decision::stop(Verdict::Wait(undecided.1));
        }
        Decision::Go(Vec::new())
    }

    fn queue_one(&self, run: &Candidate, place: &Place) -> Decision {
        if place.full || run.older_blocked {
            let taken = run.job_blocked || !self.blocked.is_empty();
            return Decision::stop(if taken {
                Verdict::Skip(SkipReason::Overlap)
            } else {
                Verdict::Block(BlockReason::Overlap)
            });
        }
        self.in_order(place)
    }

    fn queue_all(&self, run: &Candidate, place: &Place) -> Decision {
        if place.full || run.older_blocked || self.blocked.range(..place.age).next().is_some() {
            return Decision::stop(Verdict::Block(BlockReason::Overlap));
        }
        self.in_order(place)
    }

    /// For one that is to start after all that are older.
    fn in_order(&self, place: &Place) -> Decision {
        let undecided = self.older_undecided(place.age);
        if place.may_be_full || undecided.0 > 0 {
            return Decision::stop(Verdict::Wait(undecided.1));
        }
        Decision::Go(Vec::new())
    }

    fn replace(
        &self,
        run: &Candidate,
        place: &Place,
        standing: Option<&JobStanding>,
        certain: usize,
    ) -> Decision {
        let younger = self.replacing.range(place.age..).skip(1).count();
        let cancels = run.overlap == Overlap::CancelRunning;
        // It would be ended as soon as it had begun.
        if (younger >= place.most || (place.full && cancels && younger > 0))
            && let Some((_, youngest)) = self.replacing.last_key_value()
        {
            return Decision::stop(Verdict::Replace(*youngest));
        }
        let undecided = self.older_undecided(place.age);
        if undecided.0 > 0 || (place.may_be_full && !place.full) {
            return Decision::stop(Verdict::Wait(undecided.1));
        }
        let gives_way = |how| move |of: &RunId| End { run: *of, by: run.run, how };
        let older = standing.into_iter().flat_map(|standing| &standing.replaceable);
        let older =
            older.filter(|(age, id)| *age < place.age && !self.replaced.contains(id)).map(|(_, id)| id);
        let mut ends: Vec<_> = older.map(gives_way(How::Replaced)).collect();
        let needed = (certain + 1).saturating_sub(place.most);
        let oldest = standing.into_iter().flat_map(|standing| self.left(standing)).take(needed);
        if place.full && cancels {
            ends.extend(oldest.map(gives_way(How::Cancelled)));
            return Decision::Stop(Verdict::Block(BlockReason::Overlap), ends);
        }
        ends.extend(oldest.map(gives_way(How::Killed)));
        Decision::Go(ends)
    }

    /// The unfinished ones that were not killed in this batch.
    fn left<'a>(&'a self, standing: &'a JobStanding) -> impl Iterator<Item = &'a RunId> {
        standing.unfinished.iter().filter(|run| !self.killed.contains(run))
    }

    /// How many older runs of the job are not decided, and what a run that depends on them waits for.
    fn older_undecided(&self, age: Age) -> (usize, WaitReason) {
        let open = self.open.range(..age).count();
        let mut waiting = self.waiting.range(..age);
        let oldest = waiting.next().map(|(_, reason)| *reason);
        let count = open + usize::from(oldest.is_some()) + waiting.count();
        // Those that are still to be judged are of less priority.
        let reason = match (oldest, count) {
            (Some(reason), _) => reason,
            (None, 0) => WaitReason::Unclear,
            (None, _) => WaitReason::WindowFull,
        };
        (count, reason)
    }

    /// Remembers a verdict for the younger ones.
    pub(super) fn note(&mut self, candidate: &Candidate, verdict: Verdict, ends: &[End]) {
        let age = candidate.age();
        self.open.remove(&age);
        for end in ends {
            match end.how {
                How::Killed => self.killed.insert(end.run),
                How::Replaced => self.replaced.insert(end.run),
                // One that is asked to end has not ended.
                How::Cancelled => continue,
            };
        }
        if candidate.is_retry() {
            return;
        }
        match verdict {
            Verdict::Admit { .. } => {
                self.admitted.insert(age, candidate.overlap);
            }
            // One that may run beside others holds nobody up while it waits.
            Verdict::Block(_) if candidate.overlap != Overlap::Allow => {
                self.blocked.insert(age);
            }
            Verdict::Wait(reason) if candidate.overlap != Overlap::Allow => {
                self.waiting.insert(age, reason);
            }
            Verdict::Replace(_) => {
                self.replacing.remove(&age);
            }
            Verdict::Block(_) | Verdict::Wait(_) | Verdict::Skip(_) => {}
        }
    }
}

/// Where a run stands in its job.
struct Place {
    age: Age,
    most: usize,
    /// As many as may be are unfinished, and will be until the judgement is written down.
    full: bool,
    /// As many seem to be.
    may_be_full: bool,
}
