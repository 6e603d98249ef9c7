//! How far planning and workers are behind.

use punctual_scheduler_domain::name::TaskQueuePath;
use punctual_scheduler_domain::run::RunState;

use super::state::State;
use crate::store::Backlog;

pub(super) fn read(state: &State) -> Backlog {
    let oldest = state.jobs.values().filter_map(|job| job.next_due_at).min();
    let schedule_lag = oldest.and_then(|oldest| (state.now - oldest).to_std().ok()).unwrap_or_default();
    let mut backlog = Backlog { schedule_lag, ..Backlog::default() };
    for lane in &state.lanes {
        let path = TaskQueuePath { namespace: lane.namespace.clone(), task_queue: lane.task_queue.clone() };
        backlog.waiting.entry(path).or_default();
    }
    let scheduled = state.live.in_state(RunState::Scheduled).filter(|run| run.run_at <= state.now);
    for run in scheduled.chain(state.live.in_state(RunState::Queued)) {
        let lane = state.lane_of(run.lane);
        let path = TaskQueuePath { namespace: lane.namespace.clone(), task_queue: lane.task_queue.clone() };
        *backlog.waiting.entry(path).or_default() += 1;
    }
    backlog
}
