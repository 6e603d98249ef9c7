//! Planning: due instants become rows, and the cursor moves, in one transaction.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::audit::JobEventKind;
use punctual_scheduler_domain::calendar::Calendars;
use punctual_scheduler_domain::id::{JobId, RunId, Shard};
use punctual_scheduler_domain::job::Job;
use punctual_scheduler_domain::plan::{MissedRange, Plan, PlanInput, plan};
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::definitions::Definition;
use super::{PostgresStore, calendars, count, delays, jobs, millis, pauses};
use crate::store::{LaneId, PlanOutcome, StoreError};

/// Instants of one job that one transaction plans; a job with more is claimed again at once.
const MOST_DUE: usize = 500;
/// Chunks that a change of a job plans through at most to reach the present.
const MOST_CHUNKS: usize = 64;

type Tx = Transaction<'static, Postgres>;

/// A cursor under lock.
struct Cursor {
    job: JobId,
    version: i32,
    next_due_at: DateTime<Utc>,
    /// The instant that the last run's end has put.
    delayed_at: Option<DateTime<Utc>>,
}

pub(super) async fn plan_due_jobs(
    store: &PostgresStore,
    look_ahead: Duration,
    limit: u32,
) -> Result<PlanOutcome, StoreError> {
    let chores = sqlx::query_file!("src/store/postgres/planner_chores.sql", store.now())
        .fetch_one(&store.pool)
        .await?;
    if chores.pauses {
        pauses::end_those_that_are_over(store).await?;
    }
    if chores.run_ends {
        delays::take_run_ends(store).await?;
    }
    let mut tx = store.pool.begin().await?;
    // Cursors are claimed when half of what was planned is used up, so that a job that is due every second is
    // planned every few seconds and not every second.
    let claimed = sqlx::query_file!(
        "src/store/postgres/claim_due_jobs.sql",
        store.now(),
        super::interval(look_ahead / 2),
        i64::from(limit)
    )
    .fetch_all(&mut *tx)
    .await?;
    let Some(now) = claimed.first().map(|row| row.now) else {
        tx.rollback().await?;
        return Ok(PlanOutcome::default());
    };
    let cursors: Vec<_> = claimed
        .into_iter()
        .map(|row| Cursor {
            job: JobId(row.job_id),
            version: row.version,
            next_due_at: row.next_due_at,
            delayed_at: row.delayed_at,
        })
        .collect();
    let definitions =
        store.definitions.get(&mut *tx, cursors.iter().map(|cursor| (cursor.job, cursor.version))).await?;
    let calendars =
        calendars::named_by(store, &mut tx, definitions.values().map(|definition| &**definition)).await?;
    let mut batch = Batch::new(now);
    for cursor in &cursors {
        // The others are claimed again at once.
        if batch.runs.ids.len() >= PlanOutcome::MOST_RUNS {
            break;
        }
        // One that cannot be read was reported; it must not keep the others from being planned.
        if let Some(definition) = definitions.get(&(cursor.job, cursor.version)) {
            let lane = lane_of(store, &mut tx, definition).await?;
            let calendars = calendars.get(&definition.namespace).unwrap_or(&store.no_calendars);
            batch.add(cursor, definition, calendars, lane, now + look_ahead);
        }
    }
    let outcome = batch.write(&mut tx).await.inspect_err(|error| store.lanes.heed(error))?;
    tx.commit().await?;
    Ok(outcome)
}

/// Plans one job under its cursor's lock up to and including `until`, which is the database's now.
pub(super) async fn plan_job_until(
    store: &PostgresStore,
    tx: &mut Tx,
    job: &Job,
    until: DateTime<Utc>,
) -> Result<(), StoreError> {
    let version = (job.id, i32::try_from(job.version).unwrap_or(i32::MAX));
    let definitions = store.definitions.get(&mut **tx, [version]).await?;
    let (Some(definition), Some(mut next_due_at)) = (definitions.get(&version), job.next_due_at) else {
        return Ok(());
    };
    let lane = lane_of(store, tx, definition).await?;
    let calendars = calendars::named_by(store, tx, [&**definition]).await?;
    let calendars = calendars.get(&definition.namespace).unwrap_or(&store.no_calendars);
    let mut delayed_at = delays::delayed_at(tx, job.id).await?;
    for _ in 0..MOST_CHUNKS {
        if next_due_at > until {
            break;
        }
        let cursor = Cursor { job: job.id, version: version.1, next_due_at, delayed_at };
        let mut batch = Batch::new(until);
        batch.add(&cursor, definition, calendars, lane, until);
        let (next, delayed) = batch.next_of(job.id);
        batch.write(tx).await?;
        match next {
            Some(next) => (next_due_at, delayed_at) = (next, delayed),
            None => break,
        }
    }
    Ok(())
}

/// A job's lane was made with the job.
async fn lane_of(store: &PostgresStore, tx: &mut Tx, definition: &Definition) -> Result<LaneId, StoreError> {
    let spec = &definition.spec;
    store.lanes.id(tx, jobs::lane_key(&definition.namespace, spec)).await
}

/// Columns of the runs to be written down.
#[derive(Default)]
struct Runs {
    ids: Vec<Uuid>,
    jobs: Vec<Uuid>,
    versions: Vec<i32>,
    due_at: Vec<DateTime<Utc>>,
    run_at: Vec<DateTime<Utc>>,
    shards: Vec<i16>,
    lanes: Vec<i32>,
    overlaps: Vec<String>,
    start_deadlines: Vec<Option<DateTime<Utc>>>,
    close_deadlines: Vec<Option<DateTime<Utc>>>,
    start_to_close_ms: Vec<i64>,
    cancel_grace_ms: Vec<i64>,
    max_running: Vec<i32>,
    keys: Vec<Option<String>>,
    key_limits: Vec<Option<i32>>,
}

/// A job's next instant, and the one that its last run's end has put.
type Moved = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

/// What one transaction writes: runs, cursors, missed ranges, and jobs that have come to an end.
struct Batch {
    now: DateTime<Utc>,
    runs: Runs,
    cursors: HashMap<JobId, Moved>,
    missed: Vec<(JobId, MissedRange)>,
    stopped: Vec<(JobId, &'static str, String)>,
}

impl Batch {
    fn new(now: DateTime<Utc>) -> Self {
        Self { now, runs: Runs::default(), cursors: HashMap::new(), missed: Vec::new(), stopped: Vec::new() }
    }

    fn add(
        &mut self,
        cursor: &Cursor,
        definition: &Definition,
        calendars: &Calendars,
        lane: LaneId,
        horizon: DateTime<Utc>,
    ) {
        let planned = definition.schedule.as_ref().map_err(Clone::clone).and_then(|schedule| {
            let planned = plan(PlanInput {
                schedule,
                calendars,
                delayed: cursor.delayed_at,
                cursor: cursor.next_due_at,
                now: self.now,
                horizon,
                misfire: definition.spec.misfire,
                catchup: definition.spec.catchup,
                limit: MOST_DUE,
            })?;
            let run_at = planned.due.iter().map(|due_at| schedule.run_at(cursor.job, *due_at));
            Ok((run_at.collect::<Result<Vec<_>, _>>()?, planned))
        });
        match planned {
            Ok((run_at, Plan { due, missed, next, delayed })) => {
                for (due_at, run_at) in due.into_iter().zip(run_at) {
                    self.runs.push(cursor, definition, lane, due_at, run_at);
                }
                self.missed.extend(missed.into_iter().map(|range| (cursor.job, range)));
                if definition.schedule.as_ref().is_ok_and(|schedule| schedule.is_over(next)) {
                    self.stopped.push((cursor.job, "exhausted", String::new()));
                }
                self.cursors.insert(cursor.job, (next, delayed));
            }
            Err(error) => {
                self.stopped.push((cursor.job, "errored", error.to_string()));
                self.cursors.insert(cursor.job, (None, None));
            }
        }
    }

    fn next_of(&self, job: JobId) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
        self.cursors.get(&job).copied().unwrap_or_default()
    }

    async fn write(self, tx: &mut Tx) -> Result<PlanOutcome, StoreError> {
        let mut outcome =
            PlanOutcome { jobs: u32::try_from(self.cursors.len()).unwrap_or(0), ..Default::default() };
        outcome.runs = self.runs.insert(tx, self.now).await?;
        if !self.missed.is_empty() {
            insert_missed(tx, &self.missed, self.now).await?;
            self.missed.iter().for_each(|(_, range)| outcome.record(range));
        }
        let jobs: Vec<_> = self.cursors.keys().map(|job| job.0).collect();
        let (next, delayed): (Vec<_>, Vec<_>) = self.cursors.values().copied().unzip();
        sqlx::query_file!(
            "src/store/postgres/move_cursors.sql",
            &jobs,
            &next as &[Option<DateTime<Utc>>],
            &delayed as &[Option<DateTime<Utc>>]
        )
        .execute(&mut **tx)
        .await?;
        if !self.stopped.is_empty() {
            let jobs: Vec<_> = self.stopped.iter().map(|(job, ..)| job.0).collect();
            let states: Vec<_> = self.stopped.iter().map(|(_, state, _)| (*state).to_owned()).collect();
            let reasons: Vec<_> = self.stopped.into_iter().map(|(.., reason)| reason).collect();
            sqlx::query_file!(
                "src/store/postgres/stop_jobs.sql",
                &jobs,
                &states,
                &reasons,
                self.now,
                JobEventKind::SCHEDULER
            )
            .execute(&mut **tx)
            .await?;
        }
        Ok(outcome)
    }
}

impl Runs {
    fn push(
        &mut self,
        cursor: &Cursor,
        definition: &Definition,
        lane: LaneId,
        due_at: DateTime<Utc>,
        run_at: DateTime<Utc>,
    ) {
        let timeouts = &definition.spec.timeouts;
        self.ids.push(RunId(Uuid::now_v7()).0);
        self.jobs.push(cursor.job.0);
        self.versions.push(cursor.version);
        self.due_at.push(due_at);
        self.run_at.push(run_at);
        self.shards.push(i16::from(Shard::of_job(cursor.job).get()));
        self.lanes.push(lane.0);
        self.overlaps.push(definition.spec.overlap.as_str().to_owned());
        self.start_deadlines.push(timeouts.start_deadline(due_at));
        self.close_deadlines.push(timeouts.close_deadline(due_at));
        self.start_to_close_ms.push(millis(timeouts.start_to_close));
        self.cancel_grace_ms.push(millis(timeouts.cancel_grace));
        self.max_running.push(count(definition.spec.max_running));
        self.keys.push(definition.key_path.clone());
        self.key_limits.push(definition.spec.concurrency.as_ref().map(|key| count(key.limit)));
    }

    async fn insert(&self, tx: &mut Tx, now: DateTime<Utc>) -> Result<u32, StoreError> {
        if self.ids.is_empty() {
            return Ok(0);
        }
        let inserted = sqlx::query_file!(
            "src/store/postgres/insert_planned_runs.sql",
            &self.ids,
            &self.jobs,
            &self.versions,
            &self.due_at,
            &self.shards,
            &self.lanes,
            &self.overlaps,
            &self.start_deadlines as &[Option<DateTime<Utc>>],
            &self.close_deadlines as &[Option<DateTime<Utc>>],
            &self.start_to_close_ms,
            &self.cancel_grace_ms,
            now,
            &self.run_at,
            &self.max_running,
            &self.keys as &[Option<String>],
            &self.key_limits as &[Option<i32>]
        )
        .execute(&mut **tx)
        .await?;
        Ok(u32::try_from(inserted.rows_affected()).unwrap_or(u32::MAX))
    }
}

async fn insert_missed(
    tx: &mut Tx,
    missed: &[(JobId, MissedRange)],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let jobs: Vec<_> = missed.iter().map(|(job, _)| job.0).collect();
    let from: Vec<_> = missed.iter().map(|(_, range)| range.from).collect();
    let to: Vec<_> = missed.iter().map(|(_, range)| range.to).collect();
    let counts: Vec<_> =
        missed.iter().map(|(_, range)| i64::try_from(range.count).unwrap_or(i64::MAX)).collect();
    let reasons: Vec<_> = missed.iter().map(|(_, range)| range.reason.to_string()).collect();
    sqlx::query_file!(
        "src/store/postgres/insert_missed_ranges.sql",
        &jobs,
        &from,
        &to,
        &counts,
        &reasons,
        now
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
