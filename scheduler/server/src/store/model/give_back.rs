//! Doorbells that no node took.

use super::finish::requeue;
use super::state::State;
use crate::store::Dispatch;

pub(super) fn dispatches(state: &mut State, untaken: &[Dispatch]) -> u32 {
    let mut moved = 0;
    for Dispatch { run, dispatch_seq, .. } in untaken {
        // Under another dispatch it is somebody else's to publish.
        let stands = state.live.get(*run).is_some_and(|run| run.dispatch_seq == *dispatch_seq);
        moved += u32::from(stands && requeue(state, *run));
    }
    moved
}
