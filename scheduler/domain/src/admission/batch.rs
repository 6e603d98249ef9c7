//! The state of judging one batch of due runs.

use std::collections::HashMap;

use super::key::KeyState;
use super::overlap::{Decision, JobState};
use super::{BlockReason, Candidate, End, How, QueueBudget, Standings, Verdict, WaitReason};
use crate::concurrency::KeyPath;
use crate::id::{JobId, RunId};
use crate::name::TaskQueuePath;

/// What is left of the budgets, and what is known of each job and key, after the verdicts so far.
pub(super) struct Batch<'a> {
    budgets: &'a HashMap<TaskQueuePath, QueueBudget>,
    standings: &'a Standings,
    taken: HashMap<&'a TaskQueuePath, usize>,
    jobs: HashMap<JobId, JobState>,
    keys: HashMap<KeyPath, KeyState>,
    ends: Vec<End>,
}

impl<'a> Batch<'a> {
    pub(super) fn of(
        candidates: &'a [Candidate],
        budgets: &'a HashMap<TaskQueuePath, QueueBudget>,
        standings: &'a Standings,
    ) -> Self {
        let mut jobs: HashMap<JobId, JobState> = HashMap::new();
        let mut keys: HashMap<KeyPath, KeyState> = HashMap::new();
        for candidate in candidates {
            if let Some(job) = candidate.job {
                jobs.entry(job).or_default().add(candidate);
            }
            if let Some(key) = candidate.key_path() {
                keys.entry(key).or_default().add(candidate.age());
            }
        }
        Self { budgets, standings, taken: HashMap::new(), jobs, keys, ends: Vec::new() }
    }

    /// The verdict on one candidate, given those before it.
    pub(super) fn judge(&mut self, candidate: &'a Candidate) -> Verdict {
        let (verdict, ends) = self.decide(candidate);
        if matches!(verdict, Verdict::Admit { .. }) {
            *self.taken.entry(&candidate.queue).or_default() += 1;
        }
        if let Some(job) = candidate.job.and_then(|job| self.jobs.get_mut(&job)) {
            job.note(candidate, verdict, &ends);
        }
        if let Some(key) = candidate.key_path().and_then(|key| self.keys.get_mut(&key)) {
            key.note(candidate.age(), verdict);
        }
        if !ends.is_empty() {
            self.keys.values_mut().for_each(|key| key.note_ended(ended(&ends)));
            // Killed after it was asked to end, a run is killed.
            self.ends.retain(|before| ends.iter().all(|end| end.run != before.run));
            self.ends.extend(ends);
        }
        verdict
    }

    fn decide(&self, candidate: &Candidate) -> (Verdict, Vec<End>) {
        let ends = match self.overlap(candidate) {
            Decision::Go(ends) => ends,
            Decision::Stop(verdict, ends) => {
                let replaces = !ends.is_empty() && self.is_paused(candidate);
                // Nobody is asked to end for a run that could not start then.
                return if replaces { (PAUSED, Vec::new()) } else { (verdict, ends) };
            }
        };
        if self.is_paused(candidate) {
            return (PAUSED, Vec::new());
        }
        let place = match self.place(candidate, &ends) {
            Ok(place) => place,
            Err(verdict) => return (verdict, Vec::new()),
        };
        match self.window(candidate) {
            None => (Verdict::Admit { place }, ends),
            // Nobody is ended before the run can go.
            Some(reason) => (Verdict::Wait(reason), Vec::new()),
        }
    }

    fn overlap(&self, candidate: &Candidate) -> Decision {
        let job = candidate.job.filter(|_| !candidate.is_retry());
        match job.and_then(|job| Some((self.jobs.get(&job)?, self.standings.jobs.get(&job)))) {
            Some((state, standing)) => state.decide(candidate, standing),
            None => Decision::Go(Vec::new()),
        }
    }

    fn is_paused(&self, candidate: &Candidate) -> bool {
        self.budgets.get(&candidate.queue).is_some_and(|budget| budget.paused)
    }

    /// The place it gets, where it needs one.
    fn place(&self, candidate: &Candidate, ends: &[End]) -> Result<Option<u32>, Verdict> {
        let (Some(path), Some(claim)) = (candidate.key_path(), &candidate.key) else { return Ok(None) };
        let Some(state) = self.keys.get(&path) else { return Ok(None) };
        state.place(candidate.age(), claim, self.standings.keys.get(&path), ended(ends)).map(Some)
    }

    /// What the task queue's workers and window keep it waiting for.
    fn window(&self, candidate: &Candidate) -> Option<WaitReason> {
        let Some(budget) = self.budgets.get(&candidate.queue) else { return Some(WaitReason::WindowFull) };
        if budget.kinds.as_ref().is_some_and(|kinds| !kinds.contains(&candidate.kind)) {
            return Some(WaitReason::NoWorker);
        }
        let taken = self.taken.get(&candidate.queue).copied().unwrap_or_default();
        let goes = taken < budget.free && candidate.priority >= budget.floor;
        (!goes).then_some(WaitReason::WindowFull)
    }

    pub(super) fn into_ends(self) -> Vec<End> {
        self.ends
    }
}

/// Those that are no more when the run is admitted.
fn ended(ends: &[End]) -> impl Iterator<Item = RunId> {
    ends.iter().filter(|end| end.how != How::Cancelled).map(|end| end.run)
}

const PAUSED: Verdict = Verdict::Block(BlockReason::TaskQueuePaused);
