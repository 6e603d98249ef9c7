//! Admission: due runs are judged and queued.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::admission::{
    BlockReason, Candidate, End, How, Judged, QueueBudget, Verdict, judge, redelivery_after, replaced_by,
    window,
};
use punctual_scheduler_domain::attempt::{AttemptOutcome, AttemptReport};
use punctual_scheduler_domain::id::{JobId, ReplicaId, RunId, Shard};
use punctual_scheduler_domain::job::Overlap;
use punctual_scheduler_domain::name::TaskQueuePath;
use punctual_scheduler_domain::priority::Priority;
use punctual_scheduler_domain::run::{RunEvent, RunState, Transition};

use super::due::{self, dispatch};
use super::finish::{Conclusion, conclude};
use super::live::{LiveRun, first, span};
use super::state::State;
use super::{cancel, standings, workers};
use crate::store::lanes::{raise_floors, room, share};
use crate::store::lease::ADOPTED_BEFORE_END;
use crate::store::{AdmitRequest, Admitted, Dispatch, DueLane, EndedReplica, NodeId, Redispatch};

pub(super) fn admit_due_runs(state: &mut State, request: &AdmitRequest) -> Admitted {
    let mut budgets = budgets(state, request);
    let rooms = rooms(request, &budgets);
    let candidates = candidates(state, request, &rooms);
    if candidates.is_empty() {
        return Admitted::default();
    }
    let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
    let mut admitted = Admitted { more: candidates.len() >= limit, ..Admitted::default() };
    admitted.more |= raise_floors(request, &rooms, &candidates, &mut budgets);
    let standings = standings::of(state, &candidates);
    let Judged { judgements, ends } = judge(&candidates, &budgets, &standings);
    // Those that wait first, so that the ends that follow find them; then the ends, which free places.
    for judgement in &judgements {
        match judgement.verdict {
            Verdict::Block(reason) => admitted.blocked += u32::from(block(state, judgement.run, reason)),
            Verdict::Wait(_) => admitted.waiting += 1,
            Verdict::Admit { .. } | Verdict::Skip(_) | Verdict::Replace(_) => {}
        }
    }
    for judgement in &judgements {
        let run = judgement.run;
        match judgement.verdict {
            Verdict::Skip(reason) => {
                admitted.skipped += u32::from(end(state, run, RunEvent::Skipped, reason.as_str().to_owned()));
            }
            Verdict::Replace(by) => {
                admitted.ended += u32::from(end(state, run, RunEvent::CancelRequested, replaced_by(by)));
            }
            Verdict::Admit { .. } | Verdict::Block(_) | Verdict::Wait(_) => {}
        }
    }
    admitted.ended += ends.iter().map(|one| u32::from(give_way(state, one))).sum::<u32>();
    // Dealt out in turn from a place that differs from one admission to the next, as in the real store.
    let turn = usize::try_from(state.now.timestamp_subsec_micros()).unwrap_or(0);
    let admits = judgements.iter().filter_map(|judgement| match judgement.verdict {
        Verdict::Admit { place } => Some((judgement.run, place)),
        Verdict::Skip(_) | Verdict::Replace(_) | Verdict::Block(_) | Verdict::Wait(_) => None,
    });
    for (nth, (run, place)) in admits.enumerate() {
        let node = request.nodes[(turn + nth) % request.nodes.len()];
        if let Some(place) = place {
            state.live.change(run, |run| run.key.iter_mut().for_each(|key| key.place = Some(place)));
        }
        admitted.dispatches.extend(queue(state, run, RunEvent::Admitted, request.publisher, node));
    }
    in_order(&mut admitted.dispatches);
    admitted
}

fn block(state: &mut State, run: RunId, reason: BlockReason) -> bool {
    let Some(live) = state.live.get(run) else { return false };
    let blocks = live.facts().on(RunEvent::Blocked) == Transition::To(RunState::Blocked);
    if blocks {
        state.live.change(run, |run| {
            run.state = RunState::Blocked;
            run.block = Some(reason);
        });
    }
    blocks
}

/// Ends a run that holds no attempt.
fn end(state: &mut State, run: RunId, event: RunEvent, reason: String) -> bool {
    conclude(state, run, Conclusion { event, reason, outcome: None, report: AttemptReport::default() })
}

/// Ends a run that stands in the way of another one, or asks for its end.
fn give_way(state: &mut State, one: &End) -> bool {
    let event = match one.how {
        How::Killed => RunEvent::Killed,
        How::Cancelled | How::Replaced => RunEvent::CancelRequested,
    };
    let Some(live) = state.live.get(one.run) else { return false };
    match live.facts().on(event) {
        Transition::To(_) => {
            let outcome = (live.state == RunState::Running).then_some(AttemptOutcome::Cancelled);
            let report = AttemptReport::default();
            conclude(state, one.run, Conclusion { event, reason: one.reason(), outcome, report })
        }
        Transition::CancelPending => {
            cancel::request(state, one.run, &one.reason());
            true
        }
        Transition::Stale => false,
    }
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
            paused: lane.paused,
            floor: Priority::LOWEST,
        }
    };
    request.lanes.iter().map(|lane| (lane.queue(), budget(lane))).collect()
}

/// How many runs of each lane are looked at.
fn rooms(request: &AdmitRequest, budgets: &HashMap<TaskQueuePath, QueueBudget>) -> Vec<i64> {
    let share = share(&request.lanes, request.limit);
    let room = |lane| room(lane, &budgets[&lane.queue()], share);
    request.lanes.iter().map(|lane| i64::try_from(room(lane)).unwrap_or(i64::MAX)).collect()
}

/// The due runs of each lane that its task queue has room and workers for, and those whose overlap is to be judged.
fn candidates(state: &State, request: &AdmitRequest, rooms: &[i64]) -> Vec<Candidate> {
    let mut found = Vec::new();
    let mut judged: BTreeSet<JobId> = BTreeSet::new();
    let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
    let mine = |run: &&LiveRun| request.shards.contains(&run.shard);
    // Where there is no room, a run is still to be skipped at its time when another one of its job is unfinished.
    let unfinished = |job: &JobId| state.live.of_job(*job).any(LiveRun::is_unfinished);
    for (lane, room) in request.lanes.iter().zip(rooms) {
        let due = state.live.scheduled(lane.lane, Overlap::Skip).take_while(|run| run.run_at <= state.now);
        let jobs = due.filter(mine).take(limit).filter_map(LiveRun::job);
        judged.extend(jobs.filter(|job| *room > 0 || unfinished(job)));
    }
    for (lane, room) in request.lanes.iter().zip(rooms) {
        let until = state.now + span(request.ahead);
        let free = state.live.scheduled(lane.lane, Overlap::Allow).take_while(|run| run.run_at <= until);
        let bound = state.live.scheduled(lane.lane, Overlap::Skip).take_while(|run| run.run_at <= state.now);
        let bound = bound.filter(|run| run.job().is_some_and(|job| judged.contains(&job)));
        let room = usize::try_from(*room).unwrap_or(usize::MAX);
        let picked = free.filter(mine).take(room).chain(bound.filter(mine).take(limit));
        // What is only ahead of its time is judged at it, unless there is nothing to judge.
        let picked = picked.filter(|run| run.run_at <= state.now || (!lane.paused && run.key.is_none()));
        found.extend(picked.map(|run| standings::candidate(state, lane, run)));
    }
    found.sort_by_key(|candidate| candidate.run);
    found
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
