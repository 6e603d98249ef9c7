//! The calls that a sequence is made of.

use std::time::Duration;

use chrono::TimeDelta;
use punctual_scheduler::store::{
    AdmitRequest, Beat, Dispatch, EndedReplica, HeldAttempt, JobChange, NewRun, NodeIdentity, OneOffRun,
    Redispatch, Release, Replica, Report, RequestId, Start, StartAnswer, TaskQueueChange, TriggerOptions,
};
use punctual_scheduler_domain::after::AfterOn;
use punctual_scheduler_domain::attempt::{AttemptOutcome, AttemptReport};
use punctual_scheduler_domain::concurrency::{Concurrency, KeyTemplate};
use punctual_scheduler_domain::id::{AttemptNumber, ReplicaId, RunId, SessionId, Shard};
use punctual_scheduler_domain::job::{CatchUp, JobSpec, Misfire, Overlap};
use punctual_scheduler_domain::name::{Kind, Namespace, TaskQueue, TaskQueuePath};
use punctual_scheduler_domain::priority::Priority;
use punctual_scheduler_domain::retry::RetryPolicy;
use punctual_scheduler_domain::schedule::{ScheduleSpec, When};
use punctual_scheduler_domain::timeouts::Timeouts;
use rand::Rng;
use rand::seq::IndexedRandom;
use uuid::Uuid;

use super::pair::Pair;
use crate::conformance::world::{a_job, a_one_off, a_task, job_name, new_job, new_session, seconds};

pub(super) const JOBS: [&str; 5] = ["a", "b", "c", "d", "e"];
const KINDS: [&str; 3] = ["k", "l", "m"];

/// Makes one call on both stores, whichever the dice say.
pub(super) async fn any(pair: &mut Pair) {
    match pair.random.random_range(0..105) {
        100..105 => super::backfills::any(pair).await,
        0..6 => create_job(pair).await,
        6..14 => change_job(pair).await,
        14..20 => create_run(pair).await,
        20..30 => plan(pair).await,
        30..48 => admit(pair).await,
        48..53 => register(pair).await,
        53..66 => start(pair).await,
        66..74 => beat(pair).await,
        74..84 => finish(pair).await,
        84..87 => cancel(pair).await,
        87..91 => reap(pair).await,
        91..93 => pause(pair).await,
        93..96 => own(pair).await,
        _ => nodes(pair).await,
    }
}

pub(super) fn request_id(pair: &mut Pair) -> Option<RequestId> {
    let number = pair.random.random_range(0..40);
    (number < 12).then(|| RequestId(format!("request {number}")))
}

fn a_queue(pair: &mut Pair) -> TaskQueue {
    TaskQueue::new(if pair.random.random_bool(0.8) { "default" } else { "other" }).unwrap()
}

fn some_timeouts(pair: &mut Pair) -> Timeouts {
    let mut limit = |chance, at: u64| pair.random.random_bool(chance).then_some(seconds(at));
    Timeouts {
        schedule_to_start: limit(0.3, 20),
        schedule_to_close: limit(0.3, 45),
        start_to_close: limit(0.5, 12).unwrap_or(seconds(600)),
        cancel_grace: seconds(3),
    }
}

fn some_retry(pair: &mut Pair) -> RetryPolicy {
    RetryPolicy { max_tries: pair.random.random_range(1..4), ..a_job().retry }
}

fn some_spec(pair: &mut Pair) -> JobSpec {
    let schedules = pair.random.random_range(0..3);
    let schedule = if pair.random.random_bool(0.15) {
        // No two are as long, so that of runs that end together none is followed at the same instant.
        pair.phases += 1;
        let delay = seconds(pair.random.random_range(1..20)) + Duration::from_millis(pair.phases % 1_000);
        vec![ScheduleSpec::delay(delay)]
    } else {
        (0..schedules).map(|_| some_schedule(pair)).collect()
    };
    let window = pair.random.random_range(60..600);
    let (window, limit) = (seconds(window), pair.random.random_range(1..20));
    JobSpec {
        schedule,
        task: a_task(KINDS.choose(&mut pair.random).unwrap()),
        task_queue: a_queue(pair),
        overlap: *Overlap::ALL.choose(&mut pair.random).unwrap(),
        max_running: pair.random.random_range(1..4),
        concurrency: some_concurrency(&mut pair.random),
        priority: some_priority(&mut pair.random),
        labels: [("team".to_owned(), pair.random.random_range(0..2).to_string())].into(),
        misfire: *Misfire::ALL.choose(&mut pair.random).unwrap(),
        catchup: CatchUp { window, limit, ..CatchUp::default() },
        retry: some_retry(pair),
        timeouts: some_timeouts(pair),
        ..a_job()
    }
}

fn some_priority(random: &mut impl Rng) -> Priority {
    Priority::new(if random.random_bool(0.7) { 5 } else { random.random_range(4..7) }).unwrap()
}

fn some_payload(random: &mut impl Rng) -> String {
    format!(r#"{{"of": {}}}"#, random.random_range(0..2))
}

fn some_concurrency(random: &mut impl Rng) -> Option<Concurrency> {
    let keys = ["all", "team-{labels.team}", "of-{payload.of}"];
    let key = KeyTemplate::new(*keys.choose(random).unwrap()).unwrap();
    random.random_bool(0.4).then(|| Concurrency { key, limit: random.random_range(1..4) })
}

fn some_options(random: &mut impl Rng) -> TriggerOptions {
    TriggerOptions {
        overlap: random.random_bool(0.3).then(|| *Overlap::ALL.choose(random).unwrap()),
        priority: random.random_bool(0.2).then(|| some_priority(random)),
    }
}

fn some_schedule(pair: &mut Pair) -> ScheduleSpec {
    pair.phases += 1;
    let phase = Duration::from_millis(pair.phases % 2_000);
    let end = pair.random.random_range(0..60);
    if pair.random.random_bool(0.1) {
        return ScheduleSpec::at(pair.now() + TimeDelta::seconds(end) + TimeDelta::microseconds(1));
    }
    if pair.random.random_bool(0.2) {
        let upstream = job_name(JOBS.choose(&mut pair.random).unwrap());
        return ScheduleSpec::after([upstream], *AfterOn::ALL.choose(&mut pair.random).unwrap());
    }
    let mut schedule = ScheduleSpec::every(seconds(1));
    schedule.when = When::Every { every: seconds(pair.random.random_range(2..20)), phase };
    schedule.max_count = pair.random.random_bool(0.2).then(|| pair.random.random_range(1..20));
    schedule.end = (end < 10).then(|| pair.now() + TimeDelta::seconds(end + 1));
    schedule
}

async fn create_job(pair: &mut Pair) {
    let job = new_job(JOBS.choose(&mut pair.random).unwrap(), some_spec(pair));
    let request = request_id(pair);
    let _ = pair
        .call(format!("create {job:?} {request:?}"), async |side| {
            side.store().create_job(job.clone(), request.clone()).await.map_err(|error| error.to_string())
        })
        .await;
}

async fn change_job(pair: &mut Pair) {
    let name = job_name(JOBS.choose(&mut pair.random).unwrap());
    let change = match pair.random.random_range(0..10) {
        0..4 => JobChange::Update { spec: Box::new(some_spec(pair)), back_to: None },
        4..6 => {
            let seconds = pair.random.random_range(1..60);
            let until = pair.random.random_bool(0.5).then(|| pair.now() + TimeDelta::seconds(seconds));
            JobChange::Pause { reason: "why not".to_owned(), by: "me".to_owned(), until }
        }
        6..9 => JobChange::Resume { catch_up: pair.random.random_bool(0.4) },
        _ => JobChange::Delete,
    };
    let request = request_id(pair);
    let revision = pair.random.random_bool(0.2).then(|| pair.random.random_range(1..5));
    let _ = pair
        .call(format!("change {name} {revision:?} {request:?} {change:?}"), async |side| {
            side.store()
                .change_job(&Namespace::default(), &name, change.clone(), revision, request.clone(), "me")
                .await
                .map_err(|error| error.to_string())
        })
        .await;
}

async fn create_run(pair: &mut Pair) {
    let id = RunId(Uuid::now_v7());
    let request = request_id(pair);
    let node = pair.random.random_range(0..4_usize);
    let run_at = pair.random.random_bool(0.3).then(|| {
        pair.now()
            + TimeDelta::milliseconds(pair.random.random_range(-2_000..9_000))
            + TimeDelta::microseconds(3)
    });
    let one_off = OneOffRun {
        task_queue: a_queue(pair),
        task: a_task(KINDS.choose(&mut pair.random).unwrap()),
        run_at,
        priority: some_priority(&mut pair.random),
        concurrency: some_concurrency(&mut pair.random),
        retry: some_retry(pair),
        timeouts: some_timeouts(pair),
        request: request.clone(),
        ..a_one_off(id)
    };
    let trigger = pair.random.random_bool(0.5).then(|| NewRun::Trigger {
        id,
        namespace: Namespace::default(),
        job: job_name(JOBS.choose(&mut pair.random).unwrap()),
        payload: pair.random.random_bool(0.5).then(|| some_payload(&mut pair.random)),
        options: some_options(&mut pair.random),
        request,
    });
    let created = pair
        .call(format!("create {trigger:?} or else {one_off:?} on node {node}"), async |side| {
            let run = trigger.clone().unwrap_or_else(|| {
                let node = side.nodes.get(node).copied();
                NewRun::OneOff(Box::new(OneOffRun { node, ..one_off.clone() }))
            });
            let mut answers = side.store().create_runs(replica(1), vec![run]).await.unwrap();
            answers.remove(0).map_err(|error| error.to_string())
        })
        .await;
    let dispatch = created.ok().and_then(|created| created.dispatch);
    pair.doorbells.extend(dispatch.map(|dispatch| (dispatch.run.to_string(), dispatch.dispatch_seq)));
}

async fn plan(pair: &mut Pair) {
    let limit = pair.random.random_range(1..10);
    pair.call(format!("plan {limit}"), async |side| {
        side.store().plan_due_jobs(seconds(10), limit).await.unwrap()
    })
    .await;
}

fn some_shards(pair: &mut Pair) -> Vec<Shard> {
    let from = if pair.random.random_bool(0.7) { 0 } else { pair.random.random_range(0..64) };
    Shard::all().skip(from).collect()
}

async fn admit(pair: &mut Pair) {
    let shards = some_shards(pair);
    let ahead = Duration::from_millis(if pair.random.random_bool(0.5) { 50 } else { 0 });
    let publisher = replica(pair.random.random_range(1..4));
    let admitted = pair
        .call(format!("admit {} shards, {ahead:?} ahead, by {publisher}", shards.len()), async |side| {
            let mut lanes = side.store().due_lanes(&shards).await.unwrap();
            lanes.sort_by_key(|lane| (lane.queue(), lane.kind.clone(), lane.priority));
            let seen: Vec<_> =
                lanes.iter().map(|lane| (lane.queue(), lane.kind.clone(), lane.first_run_at)).collect();
            let request = AdmitRequest {
                publisher,
                shards: shards.clone(),
                lanes,
                nodes: side.nodes.clone(),
                ahead,
                limit: 500,
            };
            (seen, side.store().admit_due_runs(&request).await.unwrap())
        })
        .await;
    for dispatch in admitted.1.dispatches {
        let name = pair.name(dispatch.run);
        pair.doorbells.push((name, dispatch.dispatch_seq));
    }
}

async fn register(pair: &mut Pair) {
    let known = pair.sessions.choose(&mut pair.random).copied();
    let again = pair.random.random_bool(0.15);
    let session = known.filter(|_| again).unwrap_or(SessionId(Uuid::new_v4()));
    let kinds: Vec<_> = KINDS.into_iter().filter(|_| pair.random.random_bool(0.7)).collect();
    let kinds = if kinds.is_empty() { vec!["k"] } else { kinds };
    let mut new = new_session(session, pair.random.random_range(1..9), &kinds);
    new.task_queue = a_queue(pair);
    pair.sessions.push(session);
    pair.call(format!("register {new:?}"), async |side| {
        side.store().register_worker(new.clone()).await.unwrap()
    })
    .await;
}

/// A session, of which the latest are the likeliest to be alive.
fn some_session(pair: &mut Pair) -> SessionId {
    let latest = pair.sessions.len().saturating_sub(3);
    let from = if pair.random.random_bool(0.9) { latest } else { 0 };
    pair.sessions[from..].choose(&mut pair.random).copied().unwrap_or(SessionId(Uuid::nil()))
}

async fn start(pair: &mut Pair) {
    let session = some_session(pair);
    let latest = pair.doorbells.len().saturating_sub(8);
    let from = if pair.random.random_bool(0.8) { latest } else { 0 };
    let chosen: Vec<_> = pair.doorbells[from..].choose_multiple(&mut pair.random, 4).cloned().collect();
    let answers = pair
        .call(format!("start {chosen:?} by {session}"), async |side| {
            let start = |(run, dispatch_seq): &(String, u32)| Start {
                run: side.id(run),
                dispatch_seq: *dispatch_seq,
            };
            let starts: Vec<_> = chosen.iter().map(start).collect();
            side.store().start_attempts(session, &starts).await.unwrap()
        })
        .await;
    for answer in answers {
        if let StartAnswer::Granted(grant) = answer {
            let name = pair.name(grant.run);
            pair.grants.push((session, name, grant.attempt.get()));
        }
    }
}

/// An attempt that was granted once, of which the latest are the likeliest to be held.
fn some_grant(pair: &mut Pair) -> Option<(SessionId, String, AttemptNumber)> {
    let latest = pair.grants.len().saturating_sub(6);
    let from = if pair.random.random_bool(0.8) { latest } else { 0 };
    let (session, run, attempt) = pair.grants[from..].choose(&mut pair.random)?.clone();
    Some((session, run, AttemptNumber::new(attempt)?))
}

async fn beat(pair: &mut Pair) {
    let session = some_session(pair);
    let mine: Vec<_> = pair.grants.iter().filter(|(holder, ..)| *holder == session).cloned().collect();
    let share = if pair.random.random_bool(0.7) { 1.0 } else { 0.3 };
    let held: Vec<_> = mine.into_iter().filter(|_| pair.random.random_bool(share)).collect();
    let draining = pair.random.random_bool(0.03);
    pair.call(format!("beat {session} {held:?} draining {draining}"), async |side| {
        let held = held.iter().map(|(_, run, attempt)| HeldAttempt {
            run_id: side.id(run),
            attempt: *attempt,
            progress: Some(0.5),
            progress_note: "half".to_owned(),
        });
        let answer = side.store().heartbeat(&Beat { session, held: held.collect(), draining }).await.unwrap();
        answer.map(|mut answer| {
            answer.cancel.sort_by_key(|(run, attempt)| (side.name(*run), *attempt));
            answer
        })
    })
    .await;
}

async fn finish(pair: &mut Pair) {
    let Some((session, run, attempt)) = some_grant(pair) else { return };
    let delay = seconds(pair.random.random_range(0..5));
    if pair.random.random_bool(0.2) {
        pair.call(format!("release {run} {attempt} {delay:?}"), async |side| {
            let release = Release { session, run: side.id(&run), attempt, delay };
            side.store().release_attempt(&release).await.unwrap()
        })
        .await;
        return;
    }
    let outcome = [AttemptOutcome::Succeeded, AttemptOutcome::Failed, AttemptOutcome::Cancelled];
    let outcome = *outcome.choose(&mut pair.random).unwrap();
    let report = AttemptReport {
        error: if outcome == AttemptOutcome::Failed { "no".to_owned() } else { String::new() },
        non_retryable: pair.random.random_bool(0.1),
        retry_after: pair.random.random_bool(0.2).then_some(delay),
        ..AttemptReport::default()
    };
    pair.call(format!("finish {run} {attempt} {outcome} {report:?}"), async |side| {
        let report = Report { session, run: side.id(&run), attempt, outcome, report: report.clone() };
        side.store().finish_attempts(&[report.clone(), report]).await.unwrap()
    })
    .await;
}

async fn cancel(pair: &mut Pair) {
    let Some(run) = pair.any_run() else { return };
    let _ = pair
        .call(format!("cancel {run}"), async |side| {
            let cancelled = side.store().cancel_run(side.id(&run), "on a whim").await;
            // An error names the run by its id.
            cancelled.map_err(|error| error.to_string().contains("is already"))
        })
        .await;
}

async fn pause(pair: &mut Pair) {
    let path = TaskQueuePath { namespace: Namespace::default(), task_queue: a_queue(pair) };
    let change = match pair.random.random_range(0..3) {
        0 => TaskQueueChange::Pause { reason: "full".to_owned() },
        _ => TaskQueueChange::Resume,
    };
    pair.call(format!("{change:?} {path:?}"), async |side| {
        let changed = side.store().change_task_queue(&path, &change).await.unwrap();
        (changed, side.store().list_task_queues(&Namespace::default()).await.unwrap())
    })
    .await;
    pair.call("sweep".to_owned(), async |side| side.store().unblock(500).await.unwrap()).await;
}

async fn reap(pair: &mut Pair) {
    pair.call("reap".to_owned(), async |side| {
        (side.store().reap_sessions(500).await.unwrap(), side.store().reap_runs(500).await.unwrap())
    })
    .await;
    if pair.random.random_bool(0.1) {
        let session = some_session(pair);
        let gone = async |side: &super::pair::Side| side.store().unregister_worker(session).await.unwrap();
        pair.call(format!("unregister {session}"), gone).await;
    }
}

fn replica(number: u128) -> ReplicaId {
    ReplicaId(Uuid::from_u128(number))
}

async fn own(pair: &mut Pair) {
    let number = pair.random.random_range(1..4);
    if pair.random.random_bool(0.1) {
        pair.call(format!("replica {number} stops"), async |side| {
            side.store().release_lease(replica(number)).await.unwrap();
        })
        .await;
        return;
    }
    let owned = pair
        .call(format!("replica {number} renews"), async |side| {
            let renewing = Replica { id: replica(number), name: number.to_string() };
            let mut owned = side.store().renew_lease(&renewing).await.unwrap();
            owned.shards.sort_unstable();
            owned.ended.sort_by_key(|ended| ended.id);
            owned
        })
        .await;
    for ended in owned.ended {
        adopt(pair, number, ended).await;
    }
}

async fn adopt(pair: &mut Pair, number: u128, ended: EndedReplica) {
    let adopted = pair
        .call(format!("replica {number} adopts from {ended:?}"), async |side| {
            side.store().adopt_dispatches(replica(number), &ended, 1_000).await.unwrap()
        })
        .await;
    for dispatch in adopted {
        let name = pair.name(dispatch.run);
        pair.doorbells.push((name, dispatch.dispatch_seq));
    }
}

async fn nodes(pair: &mut Pair) {
    let place = pair.random.random_range(0..2_usize);
    match pair.random.random_range(0..8) {
        0 => {
            pair.call(format!("node {place} is lost"), async |side| {
                let lost = side.store().node_lost(side.nodes[place]).await.unwrap();
                (lost, side.store().requeue_lost(&[], &[], 10_000).await.unwrap())
            })
            .await;
        }
        1 => {
            pair.call("both nodes answer".to_owned(), async |side| {
                let node =
                    |address: &str| NodeIdentity { address: address.to_owned(), identity: "a".to_owned() };
                side.store().nodes_seen(&[node("one:4150"), node("two:4150")]).await.unwrap()
            })
            .await;
        }
        2 => {
            let shards = some_shards(pair);
            pair.call(format!("node {place} cannot be reached by {} shards", shards.len()), async |side| {
                side.store().requeue_lost(&[side.nodes[place]], &shards, 10_000).await.unwrap()
            })
            .await;
        }
        3 => redispatch(pair, place).await,
        4 => give_back(pair).await,
        5 => {
            pair.call("nodes with queued runs".to_owned(), async |side| {
                side.store().silent_nodes_with_queued_runs().await.unwrap()
            })
            .await;
        }
        _ => {
            pair.call("count".to_owned(), async |side| {
                let mut fleets = side.store().fleets().await.unwrap();
                fleets.sort_by_key(|fleet| fleet.task_queue.clone());
                fleets.iter_mut().for_each(|fleet| fleet.kinds.sort_unstable());
                let mut counts: Vec<_> = side.store().queued_counts().await.unwrap().into_iter().collect();
                counts.sort();
                (fleets, counts)
            })
            .await;
        }
    }
}

async fn give_back(pair: &mut Pair) {
    let latest = pair.doorbells.len().saturating_sub(12);
    let chosen: Vec<_> = pair.doorbells[latest..].choose_multiple(&mut pair.random, 3).cloned().collect();
    pair.call(format!("give back {chosen:?}"), async |side| {
        let untaken = |(run, dispatch_seq): &(String, u32)| Dispatch {
            run: side.id(run),
            dispatch_seq: *dispatch_seq,
            node: side.nodes[0],
            namespace: Namespace::default(),
            task_queue: TaskQueue::default(),
            job: String::new(),
            kind: Kind::new("k").unwrap(),
            run_at: side.world.now(),
        };
        let mut untaken: Vec<_> = chosen.iter().map(untaken).collect();
        untaken.sort_by_key(|one| (one.run, one.dispatch_seq));
        untaken.dedup_by_key(|one| one.run);
        side.store().give_back(&untaken).await.unwrap()
    })
    .await;
}

async fn redispatch(pair: &mut Pair, place: usize) {
    let chosen: Vec<_> = pair.doorbells.choose_multiple(&mut pair.random, 5).cloned().collect();
    let moved = pair
        .call(format!("redispatch {chosen:?} to node {place}"), async |side| {
            let other = |(run, dispatch_seq): &(String, u32)| Redispatch {
                run: side.id(run),
                dispatch_seq: *dispatch_seq,
                node: side.nodes[place],
            };
            let mut runs: Vec<_> = chosen.iter().map(other).collect();
            runs.sort_by_key(|one| (one.run, one.dispatch_seq));
            runs.dedup_by_key(|one| one.run);
            side.store().redispatch(replica(2), &runs).await.unwrap()
        })
        .await;
    for dispatch in moved {
        let name = pair.name(dispatch.run);
        pair.doorbells.push((name, dispatch.dispatch_seq));
    }
}
