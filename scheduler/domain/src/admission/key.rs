//! Places under a concurrency key.

use std::collections::{BTreeSet, HashSet};

use super::{Age, BlockReason, Verdict, WaitReason};
use crate::concurrency::KeyClaim;
use crate::id::RunId;

/// What is known of one key.
#[derive(Debug, Clone, Default)]
pub struct KeyStanding {
    /// Places that are taken until the judgement is written down, and by which run.
    pub held: Vec<(u32, RunId)>,
    /// Places that are taken, or were a moment ago.
    pub seen: Vec<u32>,
    /// The oldest of the runs outside of the batch that need a place and have none, at least as many as there are places.
    pub ahead: Vec<Age>,
}

/// One key in a batch.
#[derive(Default)]
pub(super) struct KeyState {
    /// Runs of the batch that need a place and have none.
    waiting: BTreeSet<Age>,
    /// Places given out in the batch.
    given: BTreeSet<u32>,
    /// Runs outside that were ended to make room.
    ended: HashSet<RunId>,
}

impl KeyState {
    pub(super) fn add(&mut self, age: Age) {
        self.waiting.insert(age);
    }

    /// The number of the place that the run gets when it is admitted; else what becomes of it. It does not overtake
    /// an older one that waits for a place. `ends` are the runs that are ended with its admission.
    pub(super) fn place(
        &self,
        age: Age,
        claim: &KeyClaim,
        standing: Option<&KeyStanding>,
        ends: impl Iterator<Item = RunId>,
    ) -> Result<u32, Verdict> {
        let Some(standing) = standing else { return Err(Verdict::Wait(WaitReason::Unclear)) };
        let ended: HashSet<RunId> = ends.chain(self.ended.iter().copied()).collect();
        let freed: BTreeSet<u32> =
            standing.held.iter().filter(|(_, run)| ended.contains(run)).map(|(place, _)| *place).collect();
        let limit = usize::try_from(claim.limit).unwrap_or(usize::MAX).max(1);
        let ahead = standing.ahead.iter().filter(|other| **other < age).count()
            + self.waiting.range(..age).count()
            + self.given.len();
        if standing.held.len().saturating_sub(freed.len()) + ahead >= limit {
            return Err(Verdict::Block(BlockReason::ConcurrencyKey));
        }
        let is_taken = |place: &u32| {
            self.given.contains(place) || (standing.seen.contains(place) && !freed.contains(place))
        };
        let free = (1..=claim.limit.max(1)).find(|place| !is_taken(place));
        if standing.seen.len().saturating_sub(freed.len()) + ahead >= limit {
            return Err(Verdict::Wait(WaitReason::Unclear));
        }
        free.ok_or(Verdict::Wait(WaitReason::Unclear))
    }

    /// Remembers a verdict for the younger ones.
    pub(super) fn note(&mut self, age: Age, verdict: Verdict) {
        match verdict {
            Verdict::Admit { place } => {
                self.waiting.remove(&age);
                self.given.extend(place);
            }
            // One whose task queue is paused lets others go before it: nobody knows for how long.
            Verdict::Skip(_) | Verdict::Replace(_) | Verdict::Block(BlockReason::TaskQueuePaused) => {
                self.waiting.remove(&age);
            }
            Verdict::Block(BlockReason::Overlap | BlockReason::ConcurrencyKey) | Verdict::Wait(_) => {}
        }
    }

    /// Runs outside have ended; the places that they had are free.
    pub(super) fn note_ended(&mut self, runs: impl Iterator<Item = RunId>) {
        self.ended.extend(runs);
    }
}
