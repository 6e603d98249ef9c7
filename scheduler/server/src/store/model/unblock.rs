//! Letting blocked runs go when what stood in their way is no more.

use std::collections::BTreeSet;

use punctual_scheduler_domain::admission::BlockReason;
use punctual_scheduler_domain::concurrency::KeyPath;
use punctual_scheduler_domain::id::{JobId, RunId};
use punctual_scheduler_domain::job::Overlap;
use punctual_scheduler_domain::run::{RunEvent, RunState, Transition};

use super::live::LiveRun;
use super::state::State;
use crate::store::Reaped;

/// Lets go who can go after the end of a run of this job, with this key.
pub(super) fn after_end(state: &mut State, job: Option<JobId>, key: Option<&KeyPath>) -> u32 {
    let of_job = job.map_or(0, |job| {
        let free = next_of_job(state, job);
        let_go(state, free)
    });
    let of_key = key.map_or(0, |path| {
        let free = next_of_key(state, path);
        let_go(state, free)
    });
    of_job + of_key
}

/// In the order of the line, each that with the unfinished ones and those before it is within its limit, up to the first
/// that is not or waits for something else. In line are also those that are due and not judged yet.
fn next_of_job(state: &State, job: JobId) -> Vec<RunId> {
    let waits = |run: &&LiveRun| {
        run.is_blocked_in_job() || (run.is_undecided(state.now) && run.overlap != Overlap::Allow)
    };
    let mut line: Vec<&LiveRun> = state.live.of_job(job).filter(waits).collect();
    line.sort_by_key(|run| run.age());
    let unfinished = state.live.of_job(job).filter(|run| run.is_unfinished()).count();
    let goes = |(before, run): &(usize, &&LiveRun)| {
        let most = usize::try_from(run.max_running).unwrap_or(usize::MAX);
        run.block.is_none() || (run.block == Some(BlockReason::Overlap) && unfinished + before < most)
    };
    let in_turn = line.iter().enumerate().take_while(goes).map(|(_, run)| run);
    in_turn.filter(|run| run.block.is_some()).map(|run| run.id).collect()
}

/// The same for the line of a key, in which those that wait for their jobs stand too.
fn next_of_key(state: &State, path: &KeyPath) -> Vec<RunId> {
    let has_place = |run: &&LiveRun| run.key.as_ref().is_some_and(|key| key.place.is_some());
    let taken = state.live.of_key(path).filter(has_place).count();
    let waits = |run: &LiveRun| run.block == Some(BlockReason::ConcurrencyKey);
    let line = state.live.of_key(path).filter(|run| run.is_in_line(state.now)).enumerate();
    let goes = |(before, run): &(usize, &LiveRun)| {
        let limit = run.key.as_ref().map_or(1, |key| key.limit);
        !waits(run) || taken + before < usize::try_from(limit).unwrap_or(usize::MAX)
    };
    line.take_while(goes).filter(|(_, run)| waits(run)).map(|(_, run)| run.id).collect()
}

/// Those of task queues that are not paused any more.
pub(super) fn resumed(state: &mut State) -> u32 {
    let resumed = |run: &&LiveRun| {
        run.block == Some(BlockReason::TaskQueuePaused)
            && !state.paused.contains_key(&state.lane_of(run.lane).queue())
    };
    let free = state.live.in_state(RunState::Blocked).filter(resumed).map(|run| run.id).collect();
    let_go(state, free)
}

/// What ends have left behind; here there is never any of that, but what several of them freed together.
pub(super) fn sweep(state: &mut State) -> Reaped {
    let blocked = || state.live.in_state(RunState::Blocked);
    let jobs: BTreeSet<JobId> = blocked().filter_map(LiveRun::job).collect();
    let keys: BTreeSet<KeyPath> =
        blocked().filter_map(|run| run.key.as_ref()).map(|key| key.path.clone()).collect();
    let mut runs = jobs.into_iter().map(|job| after_end(state, Some(job), None)).sum::<u32>();
    runs += keys.iter().map(|path| after_end(state, None, Some(path))).sum::<u32>();
    runs += resumed(state);
    Reaped { sessions: 0, runs }
}

fn let_go(state: &mut State, runs: Vec<RunId>) -> u32 {
    let mut moved = 0;
    for id in runs {
        let Some(run) = state.live.get(id) else { continue };
        if run.facts().on(RunEvent::Unblocked) == Transition::To(RunState::Scheduled) {
            state.live.change(id, |run| {
                run.state = RunState::Scheduled;
                run.block = None;
            });
            moved += 1;
        }
    }
    moved
}
