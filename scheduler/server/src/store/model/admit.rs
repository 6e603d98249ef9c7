//! Admission: due runs are judged and queued.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::admission::{
    Candidate, QueueBudget, Verdict, judge, redelivery_after, window,
};
use punctual_scheduler_domain::attempt::AttemptReport;
use punctual_scheduler_domain::id::{JobId, ReplicaId, RunId, Shard};
use punctual_scheduler_domain::job::Overlap;
use punctual_scheduler_domain::name::TaskQueuePath;
use punctual_scheduler_domain::run::{RunEvent, RunState, Transition};

use super::due::{self, dispatch};
use super::finish::{Conclusion, conclude};
use super::live::{LiveRun, first, span};
use super::state::State;
use super::workers;
use crate::store::lease::ADOPTED_BEFORE_END;
use crate::store::{AdmitRequest, Admitted, Dispatch, DueLane, EndedReplica, NodeId, Redispatch};

pub(super) fn admit_due_runs(state: &mut State, request: &AdmitRequest) -> Admitted {
    let budgets = budgets(state, request);
    let candidates = candidates(state, request, &budgets);
    let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
    let mut admitted =
        Admitted { more: !candidates.is_empty() && candidates.len() >= limit, ..Admitted::default() };
    let mut admits = Vec::new();
    for judgement in judge(&candidates, &budgets) {
        match judgement.verdict {
            Verdict::Admit => admits.push(judgement.run),
            Verdict::Skip(reason) => {
                let skipped = Conclusion {
                    event: RunEvent::Skipped,
                    reason: reason.as_str().to_owned(),
                    outcome: None,
                    report: AttemptReport::default(),
                };
                admitted.skipped += u32::from(conclude(state, judgement.run, skipped));
            }
            Verdict::Wait(_) => admitted.waiting += 1,
        }
    }
    // Dealt out in turn from a place that differs from one admission to the next, as in the real store.
    let turn = usize::try_from(state.now.timestamp_subsec_micros()).unwrap_or(0);
    for (place, run) in admits.into_iter().enumerate() {
        let node = request.nodes[(turn + place) % request.nodes.len()];
        admitted.dispatches.extend(queue(state, run, RunEvent::Admitted, request.publisher, node));
    }
    in_order(&mut admitted.dispatches);
    admitted
}

fn budgets(state: &State, request: &AdmitRequest) -> HashMap<TaskQueuePath, QueueBudget> {
    let fleets = workers::fleets(state);
    let queued = due::queued_counts(state, &request.shards);
    let owned = u8::try_from(request.shards.len()).unwrap_or(Shard::COUNT);
    let budget = |lane: &DueLane| {
        let fleet = fleets
            .iter()
            .find(|fleet| fleet.namespace == lane.namespace && fleet.task_queue == lane.task_queue);
        let waiting = queued.get(&lane.queue()).map_or(0, |queued| *queued as usize);
        QueueBudget {
            free: window(fleet.map_or(0, |fleet| fleet.places), owned).saturating_sub(waiting),
            kinds: fleet.map(|fleet| fleet.kinds.iter().cloned().collect()),
        }
    };
    request.lanes.iter().map(|lane| (lane.queue(), budget(lane))).collect()
}

/// The due runs of each lane that its task queue has room and workers for, and those whose overlap is to be judged.
fn candidates(
    state: &State,
    request: &AdmitRequest,
    budgets: &HashMap<TaskQueuePath, QueueBudget>,
) -> Vec<Candidate> {
    let mut found = Vec::new();
    let mut judged: BTreeSet<JobId> = BTreeSet::new();
    let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
    let most = limit.div_ceil(request.lanes.len().max(1));
    let room_of = |lane: &DueLane| {
        let budget = &budgets[&lane.queue()];
        let served = budget.kinds.as_ref().is_none_or(|kinds| kinds.contains(&lane.kind));
        if served { budget.free.min(most) } else { 0 }
    };
    let mine = |run: &&LiveRun| request.shards.contains(&run.shard);
    // Where there is no room, a run is still to be skipped at its time when another one of its job is unfinished.
    let unfinished = |job: &JobId| state.live.of_job(*job).any(LiveRun::is_unfinished);
    for lane in &request.lanes {
        let due = state.live.scheduled(lane.lane, Overlap::Skip).take_while(|run| run.run_at <= state.now);
        let jobs = due.filter(mine).take(limit).filter_map(LiveRun::job);
        judged.extend(jobs.filter(|job| room_of(lane) > 0 || unfinished(job)));
    }
    for lane in &request.lanes {
        let until = state.now + span(request.ahead);
        let free = state.live.scheduled(lane.lane, Overlap::Allow).take_while(|run| run.run_at <= until);
        let bound = state.live.scheduled(lane.lane, Overlap::Skip).take_while(|run| run.run_at <= state.now);
        let bound = bound.filter(|run| run.job().is_some_and(|job| judged.contains(&job)));
        let picked = free.filter(mine).take(room_of(lane)).chain(bound.filter(mine).take(limit));
        found.extend(picked.map(|run| candidate(state, lane, run)));
    }
    found.sort_by_key(|candidate| candidate.run);
    found
}

fn candidate(state: &State, lane: &DueLane, run: &LiveRun) -> Candidate {
    let others = run.job().into_iter().flat_map(|job| state.live.of_job(job));
    let unfinished = run.overlap != Overlap::Allow
        && others.filter(|other| other.id != run.id).any(LiveRun::is_unfinished);
    Candidate {
        run: run.id,
        job: run.job(),
        due_at: run.due_at,
        run_at: run.run_at,
        priority: 0,
        overlap: run.overlap,
        dispatch_seq: run.dispatch_seq,
        queue: lane.queue(),
        kind: lane.kind.clone(),
        unfinished,
    }
}

/// Queues a run on `node`, if the event still moves it there.
fn queue(
    state: &mut State,
    run: RunId,
    event: RunEvent,
    publisher: ReplicaId,
    node: NodeId,
) -> Option<Dispatch> {
    let now = state.now;
    if state.live.get(run)?.facts().on(event) != Transition::To(RunState::Queued) {
        return None;
    }
    state.live.change(run, |run| {
        run.state = RunState::Queued;
        run.dispatch_seq += 1;
        run.dispatch = Some((node, publisher, now));
        run.reap_at = first([Some(now + span(redelivery_after(run.redeliveries + 1))), run.deadline()]);
    });
    state.live.get(run).map(|run| dispatch(state, run, node))
}

pub(super) fn redispatch(state: &mut State, publisher: ReplicaId, runs: &[Redispatch]) -> Vec<Dispatch> {
    let mut dispatches = Vec::new();
    for Redispatch { run, dispatch_seq, node } in runs {
        let Some(known) = state.live.get(*run).filter(|run| run.state == RunState::Queued) else { continue };
        let is_mine = known.dispatch.is_some_and(|(_, holder, _)| holder == publisher);
        // Of another dispatch than the one that is queued now nobody needs to hear again.
        if known.dispatch_seq == *dispatch_seq {
            dispatches.extend(queue(state, *run, RunEvent::Redispatched, publisher, *node));
        } else if known.dispatch_seq == *dispatch_seq + 1 && is_mine {
            // An earlier call did it, and its answer was lost.
            state.live.change(*run, |run| run.dispatch_seq = *dispatch_seq);
            dispatches.extend(queue(state, *run, RunEvent::Redispatched, publisher, *node));
        }
    }
    in_order(&mut dispatches);
    dispatches
}

pub(super) fn adopt(
    state: &mut State,
    replica: ReplicaId,
    ended: &EndedReplica,
    limit: u32,
) -> Vec<Dispatch> {
    let since: DateTime<Utc> = ended.expired_at - ADOPTED_BEFORE_END;
    let mut found: Vec<_> = state
        .live
        .in_state(RunState::Queued)
        .filter_map(|run| {
            let (node, publisher, queued_at) = run.dispatch?;
            (publisher == ended.id && queued_at >= since).then_some((run.id, node, queued_at))
        })
        .collect();
    found.sort_unstable();
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let mut dispatches = Vec::new();
    for (id, node, queued_at) in found {
        state.live.change(id, |run| run.dispatch = Some((node, replica, queued_at)));
        dispatches.extend(state.live.get(id).map(|run| dispatch(state, run, node)));
    }
    in_order(&mut dispatches);
    dispatches
}

fn in_order(dispatches: &mut [Dispatch]) {
    dispatches.sort_by_key(|dispatch| (dispatch.run_at, dispatch.run));
}
