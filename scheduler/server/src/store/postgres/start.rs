//! Granting attempts.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::id::{AttemptNumber, JobId, RunId, SessionId};
use std::time::Duration;
use uuid::Uuid;

use super::definitions::OwnDefinition;
use super::{PostgresStore, interval, rows};
use crate::store::worker::Handed;
use crate::store::{GoneReason, Grant, REAP_MARGIN, Start, StartAnswer, StoreError};

/// A row may be locked by another statement for a moment; asked again this often it is free.
const TRIES: usize = 5;
/// Of definitions of their own that one statement brings.
const MOST_BYTES: i64 = Grant::MOST_BYTES as i64;

/// What both statements answer about a run.
struct Started {
    id: Uuid,
    attempt: i32,
    job_id: Option<Uuid>,
    job_version: Option<i32>,
    due_at: DateTime<Utc>,
    start_to_close_ms: i64,
    cancel_grace_ms: i64,
    tries_used: i32,
    namespace: String,
    kind: String,
    job: String,
    /// Whether its definition is its own.
    own: bool,
    /// That, unless it is too much for one answer.
    spec: Option<serde_json::Value>,
}

macro_rules! started {
    ($row:ident) => {
        Started {
            id: $row.id,
            attempt: $row.attempt,
            job_id: $row.job_id,
            job_version: $row.job_version,
            due_at: $row.due_at,
            start_to_close_ms: $row.start_to_close_ms,
            cancel_grace_ms: $row.cancel_grace_ms,
            tries_used: $row.tries_used,
            namespace: $row.namespace,
            kind: $row.kind,
            job: $row.job,
            own: $row.own,
            spec: $row.spec,
        }
    };
}

pub(super) async fn start_attempts(
    store: &PostgresStore,
    session: SessionId,
    starts: &[Start],
) -> Result<Vec<StartAnswer>, StoreError> {
    let mut answers: HashMap<RunId, StartAnswer> = HashMap::new();
    let mut handed = Handed::default();
    for _ in 0..TRIES {
        let open: Vec<_> = starts.iter().filter(|start| !answers.contains_key(&start.run)).copied().collect();
        if open.is_empty() {
            break;
        }
        grant(store, session, &open, &mut handed, &mut answers).await?;
        let refused: Vec<_> = open.into_iter().filter(|start| !answers.contains_key(&start.run)).collect();
        if !refused.is_empty() {
            explain(store, session, &refused, &mut handed, &mut answers).await?;
        }
    }
    // Still contended after all that: to be asked again in a moment.
    Ok(starts
        .iter()
        .map(|start| {
            answers.get(&start.run).cloned().unwrap_or(StartAnswer::NotDue(Duration::from_millis(20)))
        })
        .collect())
}

async fn grant(
    store: &PostgresStore,
    session: SessionId,
    starts: &[Start],
    handed: &mut Handed,
    answers: &mut HashMap<RunId, StartAnswer>,
) -> Result<(), StoreError> {
    let ids: Vec<_> = starts.iter().map(|start| start.run.0).collect();
    let seqs: Vec<_> =
        starts.iter().map(|start| i32::try_from(start.dispatch_seq).unwrap_or(i32::MAX)).collect();
    let granted = sqlx::query_file!(
        "src/store/postgres/start_attempts.sql",
        &ids,
        &seqs,
        session.0,
        store.now(),
        interval(REAP_MARGIN),
        MOST_BYTES
    )
    .fetch_all(&store.pool)
    .await?;
    for row in granted {
        answers.insert(RunId(row.id), hand_out(store, started!(row), handed).await?);
    }
    Ok(())
}

/// Why some were not granted, or the grant again where this session holds it already.
async fn explain(
    store: &PostgresStore,
    session: SessionId,
    starts: &[Start],
    handed: &mut Handed,
    answers: &mut HashMap<RunId, StartAnswer>,
) -> Result<(), StoreError> {
    let live = sqlx::query_file_scalar!("src/store/postgres/session_is_live.sql", session.0, store.now())
        .fetch_one(&store.pool)
        .await?;
    if !live {
        answers.extend(starts.iter().map(|start| (start.run, StartAnswer::Gone(GoneReason::SessionLost))));
        return Ok(());
    }
    let ids: Vec<_> = starts.iter().map(|start| start.run.0).collect();
    let found =
        sqlx::query_file!("src/store/postgres/asked_runs.sql", &ids, store.now(), session.0, MOST_BYTES)
            .fetch_all(&store.pool)
            .await?;
    let known: HashSet<_> = found.iter().map(|row| row.id).collect();
    for start in starts.iter().filter(|start| !known.contains(&start.run.0)) {
        answers.insert(start.run, StartAnswer::Gone(GoneReason::UnknownRun));
    }
    for row in found {
        let asked = starts.iter().find(|start| start.run.0 == row.id).map_or(0, |start| start.dispatch_seq);
        let answer = match row.state.as_str() {
            "running" if row.session == Some(session.0) => {
                let so_far = row.started_at.map_or(0, |at| (row.now - at).num_milliseconds());
                let mut started = started!(row);
                started.start_to_close_ms -= so_far;
                hand_out(store, started, handed).await?
            }
            "running" => StartAnswer::Gone(GoneReason::Held),
            "queued" if rows::count(row.dispatch_seq) != asked => StartAnswer::Gone(GoneReason::Superseded),
            "queued" if row.run_at > row.now => {
                StartAnswer::NotDue((row.run_at - row.now).to_std().unwrap_or_default())
            }
            // Locked a moment ago; the next try finds out.
            "queued" => continue,
            _ => StartAnswer::Gone(GoneReason::NotQueued),
        };
        answers.insert(RunId(row.id), answer);
    }
    Ok(())
}

/// The grant, unless its payload is too much beside what is handed out already.
async fn hand_out(
    store: &PostgresStore,
    mut row: Started,
    handed: &mut Handed,
) -> Result<StartAnswer, StoreError> {
    let payload = match (row.spec.take(), row.job_id.map(JobId).zip(row.job_version)) {
        (Some(own), _) => {
            let own: OwnDefinition = rows::definition(&format!("run {}", row.id), own)?;
            Some(own.task.payload()).filter(|payload| handed.takes(payload.len()))
        }
        (None, _) if row.own => None,
        (None, Some(version)) => {
            let known = store.definitions.get(&store.pool, [version]).await?;
            let payload = known.get(&version).map_or("", |definition| &definition.payload);
            handed.takes(payload.len()).then(|| payload.to_owned())
        }
        (None, None) => Some(String::new()),
    };
    Ok(match payload {
        Some(payload) => StartAnswer::Granted(Box::new(grant_of(row, payload)?)),
        None => StartAnswer::NotDue(Grant::ASK_AGAIN),
    })
}

fn grant_of(row: Started, payload: String) -> Result<Grant, StoreError> {
    Ok(Grant {
        run: RunId(row.id),
        attempt: AttemptNumber::new(rows::count(row.attempt)).unwrap_or(AttemptNumber::FIRST),
        namespace: rows::parsed("namespace", &row.namespace)?,
        job: row.job,
        kind: rows::parsed("kind", &row.kind)?,
        payload,
        due_at: row.due_at,
        start_to_close: Duration::from_millis(u64::try_from(row.start_to_close_ms).unwrap_or(0)),
        cancel_grace: Duration::from_millis(u64::try_from(row.cancel_grace_ms).unwrap_or(0)),
        tries_used: rows::count(row.tries_used),
    })
}
