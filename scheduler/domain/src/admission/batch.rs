//! The state of judging one batch of due runs.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use super::{Candidate, QueueBudget, SkipReason, Verdict, WaitReason};
use crate::id::{JobId, RunId};
use crate::job::Overlap;
use crate::name::TaskQueuePath;

/// What is left of the budgets, and what is known of each job, after the verdicts so far.
pub(super) struct Batch<'a> {
    budgets: &'a HashMap<TaskQueuePath, QueueBudget>,
    taken: HashMap<&'a TaskQueuePath, usize>,
    jobs: HashMap<JobId, JobState>,
}

/// The order of the runs of one job.
pub(super) type Age = (DateTime<Utc>, DateTime<Utc>, RunId);

/// The runs of one job in this batch.
#[derive(Default)]
struct JobState {
    /// Those without a verdict yet.
    open: BTreeSet<Age>,
    /// The oldest that is admitted, now or, being a retry, before.
    admitted: Option<Age>,
    /// The oldest that waits to be judged on its overlap again, and for what.
    waiting: Option<(Age, WaitReason)>,
}

impl Candidate {
    /// Older ones are less.
    pub(super) fn age(&self) -> Age {
        (self.due_at, self.run_at, self.run)
    }

    /// A retry was judged when it was first admitted.
    fn is_retry(&self) -> bool {
        self.dispatch_seq > 0
    }
}

impl<'a> Batch<'a> {
    pub(super) fn of(candidates: &'a [Candidate], budgets: &'a HashMap<TaskQueuePath, QueueBudget>) -> Self {
        let mut jobs: HashMap<JobId, JobState> = HashMap::new();
        for candidate in candidates {
            let Some(job) = candidate.job else { continue };
            let state = jobs.entry(job).or_default();
            if candidate.is_retry() {
                oldest(&mut state.admitted, candidate.age());
            } else {
                state.open.insert(candidate.age());
            }
        }
        Self { budgets, taken: HashMap::new(), jobs }
    }

    /// The verdict on one candidate, given those before it.
    pub(super) fn judge(&mut self, candidate: &'a Candidate) -> Verdict {
        let verdict = match self.overlap(candidate) {
            Some(verdict) => verdict,
            None => self.window(candidate),
        };
        self.note(candidate, verdict);
        verdict
    }

    /// The verdict of the overlap policy, if it has one.
    fn overlap(&self, candidate: &Candidate) -> Option<Verdict> {
        match candidate.overlap {
            Overlap::Allow => return None,
            Overlap::Skip if candidate.is_retry() => return None,
            Overlap::Skip => {}
        }
        let age = candidate.age();
        let state = candidate.job.and_then(|job| self.jobs.get(&job));
        let admitted = state.and_then(|state| state.admitted).is_some_and(|admitted| admitted < age);
        if candidate.unfinished || admitted {
            return Some(Verdict::Skip(SkipReason::Overlap));
        }
        let state = state?;
        if let Some((waiting, reason)) = state.waiting
            && waiting < age
        {
            return Some(Verdict::Wait(reason));
        }
        // An older one of less priority is still to be judged; until then there is nothing to judge this one on.
        let older_open = state.open.first().is_some_and(|open| *open < age);
        older_open.then_some(Verdict::Wait(WaitReason::WindowFull))
    }

    /// The verdict of the task queue's workers and window.
    fn window(&self, candidate: &Candidate) -> Verdict {
        let Some(budget) = self.budgets.get(&candidate.queue) else {
            return Verdict::Wait(WaitReason::WindowFull);
        };
        if budget.kinds.as_ref().is_some_and(|kinds| !kinds.contains(&candidate.kind)) {
            return Verdict::Wait(WaitReason::NoWorker);
        }
        let taken = self.taken.get(&candidate.queue).copied().unwrap_or_default();
        if taken < budget.free { Verdict::Admit } else { Verdict::Wait(WaitReason::WindowFull) }
    }

    fn note(&mut self, candidate: &'a Candidate, verdict: Verdict) {
        if verdict == Verdict::Admit {
            *self.taken.entry(&candidate.queue).or_default() += 1;
        }
        let Some(state) = candidate.job.and_then(|job| self.jobs.get_mut(&job)) else { return };
        let age = candidate.age();
        state.open.remove(&age);
        match verdict {
            Verdict::Admit => oldest(&mut state.admitted, age),
            Verdict::Wait(reason) if candidate.overlap == Overlap::Skip && !candidate.is_retry() => {
                if state.waiting.is_none_or(|(waiting, _)| age < waiting) {
                    state.waiting = Some((age, reason));
                }
            }
            // One that may run beside others holds nobody up while it waits.
            Verdict::Wait(_) | Verdict::Skip(_) => {}
        }
    }
}

fn oldest(known: &mut Option<Age>, age: Age) {
    *known = Some(known.map_or(age, |known| known.min(age)));
}
