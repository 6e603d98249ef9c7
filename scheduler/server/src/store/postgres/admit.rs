//! Admission: due runs are judged and queued, before anything is published.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::admission::{
    Candidate, LONGEST_REDELIVERY, QueueBudget, Standings, judge, redelivery_after, window,
};
use punctual_scheduler_domain::concurrency::KeyClaim;
use punctual_scheduler_domain::id::{JobId, ReplicaId, RunId, Shard};
use punctual_scheduler_domain::name::TaskQueuePath;
use punctual_scheduler_domain::priority::Priority;
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::verdicts::Verdicts;
use super::{PostgresStore, interval, keys, millis, overlap, rows, shard_numbers, workers};
use crate::store::lanes::{raise_floors, room, share};
use crate::store::lease::ADOPTED_BEFORE_END;
use crate::store::{
    AdmitRequest, Admitted, Dispatch, DueLane, EndedReplica, LaneId, NodeId, Redispatch, StoreError,
};

type Tx = Transaction<'static, Postgres>;

/// A row of the statements that queue runs.
pub(super) struct DispatchRow {
    pub(super) id: Uuid,
    pub(super) dispatch_seq: i32,
    pub(super) node: i32,
    pub(super) run_at: DateTime<Utc>,
    pub(super) namespace: String,
    pub(super) task_queue: String,
    pub(super) kind: String,
    pub(super) job: String,
}

impl DispatchRow {
    pub(super) fn into_dispatch(self) -> Result<Dispatch, StoreError> {
        Ok(Dispatch {
            run: RunId(self.id),
            dispatch_seq: rows::count(self.dispatch_seq),
            node: NodeId(self.node),
            namespace: rows::parsed("namespace", &self.namespace)?,
            task_queue: rows::parsed("task queue", &self.task_queue)?,
            kind: rows::parsed("kind", &self.kind)?,
            job: self.job,
            run_at: self.run_at,
        })
    }
}

fn dispatches(rows: Vec<DispatchRow>) -> Result<Vec<Dispatch>, StoreError> {
    rows.into_iter().map(DispatchRow::into_dispatch).collect()
}

pub(super) async fn due_lanes(store: &PostgresStore, shards: &[Shard]) -> Result<Vec<DueLane>, StoreError> {
    sqlx::query_file!("src/store/postgres/due_lanes.sql", &shard_numbers(shards))
        .fetch_all(&store.steady)
        .await?
        .into_iter()
        .map(|row| {
            Ok(DueLane {
                lane: LaneId(row.id),
                namespace: rows::parsed("namespace", &row.namespace)?,
                task_queue: rows::parsed("task queue", &row.task_queue)?,
                kind: rows::parsed("kind", &row.kind)?,
                priority: rows::priority(row.priority),
                paused: row.paused,
                first_run_at: row.run_at,
            })
        })
        .collect()
}

pub(super) async fn admit_due_runs(
    store: &PostgresStore,
    request: &AdmitRequest,
) -> Result<Admitted, StoreError> {
    let mut budgets = budgets(store, request).await?;
    let rooms = rooms(&request.lanes, &budgets, request.limit);
    let mut tx = store.steady.begin().await?;
    let due = lock_due_runs(store, &mut tx, request, &rooms).await?;
    let Some(now) = due.now else {
        tx.rollback().await?;
        return Ok(Admitted::default());
    };
    let mut admitted = Admitted {
        more: due.candidates.len() >= usize::try_from(request.limit).unwrap_or(usize::MAX),
        ..Default::default()
    };
    admitted.more |= raise_floors(request, &rooms.rooms, &due.candidates, &mut budgets);
    let obstacles = overlap::lock_obstacles(store, &mut tx, &due.candidates).await?;
    let keys = keys::lock_keys(store, &mut tx, &due.candidates).await?;
    let standings = Standings { jobs: obstacles.standings, keys };
    let judged = judge(&due.candidates, &budgets, &standings);
    Verdicts::of(judged, obstacles.runs, now).apply(store, &mut tx, request, &mut admitted).await?;
    tx.commit().await?;
    Ok(admitted)
}

/// What each task queue has room for now: its window, shared out by shards, less what is queued already.
async fn budgets(
    store: &PostgresStore,
    request: &AdmitRequest,
) -> Result<HashMap<TaskQueuePath, QueueBudget>, StoreError> {
    let fleets = workers::fleets(store).await?;
    let queued = queued_counts(store, &request.shards).await?;
    let owned = u8::try_from(request.shards.len()).unwrap_or(Shard::COUNT);
    let mut budgets = HashMap::new();
    for lane in &request.lanes {
        let (namespace, task_queue) = (&lane.namespace, &lane.task_queue);
        budgets.entry(lane.queue()).or_insert_with(|| {
            let fleet =
                fleets.iter().find(|fleet| fleet.namespace == *namespace && fleet.task_queue == *task_queue);
            let waiting = queued.get(&lane.queue()).map_or(0, |queued| *queued as usize);
            QueueBudget {
                free: window(fleet.map_or(0, |fleet| fleet.places), owned).saturating_sub(waiting),
                kinds: fleet.map(|fleet| fleet.kinds.iter().cloned().collect()),
                paused: lane.paused,
                floor: Priority::LOWEST,
            }
        });
    }
    Ok(budgets)
}

/// How many runs of these shards are queued in each task queue.
pub(super) async fn queued_counts(
    store: &PostgresStore,
    shards: &[Shard],
) -> Result<HashMap<TaskQueuePath, u32>, StoreError> {
    sqlx::query_file!("src/store/postgres/queued_counts.sql", &shard_numbers(shards))
        .fetch_all(&store.steady)
        .await?
        .into_iter()
        .map(|row| {
            let path = TaskQueuePath {
                namespace: rows::parsed("namespace", &row.namespace)?,
                task_queue: rows::parsed("task queue", &row.task_queue)?,
            };
            Ok((path, u32::try_from(row.queued).unwrap_or(u32::MAX)))
        })
        .collect()
}

/// Lanes to look at, and how many runs of each.
struct Rooms {
    lanes: Vec<i32>,
    rooms: Vec<i64>,
}

/// No lane is left out: where there is no room, overlap is still judged.
fn rooms(lanes: &[DueLane], budgets: &HashMap<TaskQueuePath, QueueBudget>, limit: u32) -> Rooms {
    let mut rooms = Rooms { lanes: Vec::new(), rooms: Vec::new() };
    for lane in lanes {
        let Some(budget) = budgets.get(&lane.queue()) else { continue };
        rooms.lanes.push(lane.lane.0);
        rooms.rooms.push(i64::try_from(room(lane, budget, share(lanes, limit))).unwrap_or(i64::MAX));
    }
    rooms
}

/// Due runs under lock, with what judging them needs.
struct DueRuns {
    candidates: Vec<Candidate>,
    now: Option<DateTime<Utc>>,
}

/// The two statements of G9: first the cursors of jobs whose overlap is to be judged, then, on a snapshot taken
/// after, the runs.
async fn lock_due_runs(
    store: &PostgresStore,
    tx: &mut Tx,
    request: &AdmitRequest,
    rooms: &Rooms,
) -> Result<DueRuns, StoreError> {
    let mut due = DueRuns { candidates: Vec::new(), now: None };
    if rooms.lanes.is_empty() {
        return Ok(due);
    }
    let shards = shard_numbers(&request.shards);
    let locked = sqlx::query_file_scalar!(
        "src/store/postgres/lock_overlap_cursors.sql",
        store.now(),
        &rooms.lanes,
        &rooms.rooms,
        &shards,
        i64::from(request.limit)
    )
    .fetch_all(&mut **tx)
    .await?;
    let found = sqlx::query_file!(
        "src/store/postgres/due_runs.sql",
        store.now(),
        &rooms.lanes,
        &rooms.rooms,
        &shards,
        interval(request.ahead),
        &locked,
        i64::from(request.limit)
    )
    .fetch_all(&mut **tx)
    .await?;
    for row in found {
        let Some(lane) = request.lanes.iter().find(|lane| lane.lane.0 == row.lane) else { continue };
        due.now = Some(row.now);
        // What is only ahead of its time is judged at it, unless there is nothing to judge.
        if row.run_at > row.now && (lane.paused || row.key_path.is_some()) {
            continue;
        }
        due.candidates.push(Candidate {
            run: RunId(row.id),
            job: row.job_id.map(JobId),
            due_at: row.due_at,
            run_at: row.run_at,
            priority: lane.priority,
            // A word of a later release is taken for the safest one.
            overlap: row.overlap.parse().unwrap_or_default(),
            dispatch_seq: rows::count(row.dispatch_seq),
            queue: lane.queue(),
            kind: lane.kind.clone(),
            max_running: rows::count(row.max_running),
            key: row.key_path.zip(row.key_limit).map(|(path, limit)| KeyClaim {
                key: path.split_once('/').map_or(String::new(), |(_, key)| key.to_owned()),
                limit: rows::count(limit),
            }),
            unfinished: rows::count(row.unfinished),
            job_blocked: row.job_blocked,
            older_blocked: row.older_blocked,
        });
    }
    Ok(due)
}

pub(super) async fn queue_runs(
    tx: &mut Tx,
    request: &AdmitRequest,
    admits: &[RunId],
    now: DateTime<Utc>,
) -> Result<Vec<Dispatch>, StoreError> {
    if admits.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<_> = admits.iter().map(|run| run.0).collect();
    // Dealt out in turn from a place that differs from one admission to the next.
    let first = usize::try_from(now.timestamp_subsec_micros()).unwrap_or(0);
    let nodes: Vec<_> = (0..ids.len()).map(|i| request.nodes[(first + i) % request.nodes.len()].0).collect();
    let rows = sqlx::query_file_as!(
        DispatchRow,
        "src/store/postgres/admit_runs.sql",
        &ids,
        &nodes,
        &redelivery_delays(),
        request.publisher.0,
        now
    )
    .fetch_all(&mut **tx)
    .await?;
    dispatches(rows)
}

/// In milliseconds, by what the row says about its redeliveries.
fn redelivery_delays() -> Vec<i64> {
    (1..=LONGEST_REDELIVERY).map(|delivery| millis(redelivery_after(delivery))).collect()
}

pub(super) async fn redispatch(
    store: &PostgresStore,
    publisher: ReplicaId,
    runs: &[Redispatch],
) -> Result<Vec<Dispatch>, StoreError> {
    let ids: Vec<_> = runs.iter().map(|run| run.run.0).collect();
    let tried: Vec<_> = runs.iter().map(|run| i32::try_from(run.dispatch_seq).unwrap_or(i32::MAX)).collect();
    let nodes: Vec<_> = runs.iter().map(|run| run.node.0).collect();
    let rows = sqlx::query_file_as!(
        DispatchRow,
        "src/store/postgres/redispatch.sql",
        &ids,
        &tried,
        &nodes,
        publisher.0,
        store.now(),
        &redelivery_delays()
    )
    .fetch_all(&store.pool)
    .await?;
    dispatches(rows)
}

pub(super) async fn adopt(
    store: &PostgresStore,
    replica: ReplicaId,
    ended: &EndedReplica,
    limit: u32,
) -> Result<Vec<Dispatch>, StoreError> {
    let rows = sqlx::query_file_as!(
        DispatchRow,
        "src/store/postgres/adopt_dispatches.sql",
        replica.0,
        ended.id.0,
        ended.expired_at - ADOPTED_BEFORE_END,
        i64::from(limit)
    )
    .fetch_all(&store.steady)
    .await?;
    dispatches(rows)
}
