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

/// As many of the oldest as the oldest one's limit has room for, up to the first that waits for something else.
fn next_of_job(state: &State, job: JobId) -> Vec<RunId> {
    let mut line: Vec<&LiveRun> = state.live.of_job(job).filter(|run| run.is_blocked_in_job()).collect();
    line.sort_by_key(|run| run.age());
    let Some(oldest) = line.first() else { return Vec::new() };
    let goes_before = |run: &&LiveRun| {
        run.is_unfinished()
            || (run.is_undecided(state.now) && run.overlap != Overlap::Allow && run.age() < oldest.age())
    };
    let most = usize::try_from(oldest.max_running).unwrap_or(usize::MAX);
    let room = most.saturating_sub(state.live.of_job(job).filter(goes_before).count());
    let in_turn = line.iter().take(room).take_while(|run| run.block == Some(BlockReason::Overlap));
    in_turn.map(|run| run.id).collect()
}

fn next_of_key(state: &State, path: &KeyPath) -> Vec<RunId> {
    let waits = |run: &&LiveRun| run.block == Some(BlockReason::ConcurrencyKey);
    let Some(oldest) = state.live.of_key(path).find(waits) else { return Vec::new() };
    let goes_before = |run: &&LiveRun| {
        let key = run.key.as_ref();
        key.is_some_and(|key| key.place.is_some())
            || (run.is_in_line(state.now) && !waits(run) && run.age() < oldest.age())
    };
    let most = usize::try_from(oldest.key.as_ref().map_or(1, |key| key.limit)).unwrap_or(usize::MAX);
    let room = most.saturating_sub(state.live.of_key(path).filter(goes_before).count());
    state.live.of_key(path).filter(waits).take(room).map(|run| run.id).collect()
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
