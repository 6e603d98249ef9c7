//! How many runs of each lane one admission looks at: the same in every store.

use std::collections::HashMap;

use punctual_scheduler_domain::admission::{Candidate, QueueBudget};
use punctual_scheduler_domain::job::Overlap;
use punctual_scheduler_domain::name::TaskQueuePath;

use super::{AdmitRequest, DueLane};

/// A lane's part of what one admission takes.
pub(super) fn share(lanes: &[DueLane], limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX).div_ceil(lanes.len().max(1))
}

/// How many runs of a lane that may overlap are looked at. Those of a paused task queue are to be blocked, whatever room
/// there is.
pub(super) fn room(lane: &DueLane, budget: &QueueBudget, share: usize) -> usize {
    let served = budget.kinds.as_ref().is_none_or(|kinds| kinds.contains(&lane.kind));
    match (budget.paused, served) {
        (true, _) => share,
        (false, true) => budget.free.min(share),
        (false, false) => 0,
    }
}

/// Keeps the window from what is of less priority than a lane of which only a part was looked at. Answers whether a lane
/// was cut to its share, so that there may be more to do at once. `rooms` are those of `request.lanes`, in order.
pub(super) fn raise_floors(
    request: &AdmitRequest,
    rooms: &[i64],
    candidates: &[Candidate],
    budgets: &mut HashMap<TaskQueuePath, QueueBudget>,
) -> bool {
    let share = i64::try_from(share(&request.lanes, request.limit)).unwrap_or(i64::MAX);
    let mut found: HashMap<_, i64> = HashMap::new();
    for run in candidates.iter().filter(|run| run.overlap == Overlap::Allow) {
        *found.entry((&run.queue, &run.kind, run.priority)).or_default() += 1;
    }
    let mut more = false;
    for (lane, room) in request.lanes.iter().zip(rooms) {
        let queue = lane.queue();
        let found = found.get(&(&queue, &lane.kind, lane.priority)).copied().unwrap_or(0);
        let Some(budget) = budgets.get_mut(&queue) else { continue };
        if *room > 0 && found >= *room {
            budget.floor = budget.floor.max(lane.priority);
            more |= found >= share;
        }
    }
    more
}
