//! Places under concurrency keys.

use std::collections::HashMap;

use punctual_scheduler_domain::admission::{Candidate, KeyStanding};
use punctual_scheduler_domain::concurrency::KeyPath;
use punctual_scheduler_domain::id::RunId;
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use super::{PostgresStore, count};
use crate::store::StoreError;

type Tx = Transaction<'static, Postgres>;

/// What is known of the keys that these need places of: of those which nobody else judges at this moment.
pub(super) async fn lock_keys(
    store: &PostgresStore,
    tx: &mut Tx,
    candidates: &[Candidate],
) -> Result<HashMap<KeyPath, KeyStanding>, StoreError> {
    let mut wanted: HashMap<String, (KeyPath, u32)> = HashMap::new();
    for run in candidates {
        let Some((path, claim)) = run.key_path().zip(run.key.as_ref()) else { continue };
        let (_, places) = wanted.entry(path.to_string()).or_insert((path, 0));
        *places = claim.limit.max(*places);
    }
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let paths: Vec<_> = wanted.keys().cloned().collect();
    let ours =
        sqlx::query_file_scalar!("src/store/postgres/lock_keys.sql", &paths).fetch_all(&mut **tx).await?;
    let mut standings: HashMap<KeyPath, KeyStanding> = HashMap::new();
    for path in &ours {
        standings.extend(wanted.get(path).map(|(path, _)| (path.clone(), KeyStanding::default())));
    }
    // On snapshots of their own, taken after the locks.
    for row in sqlx::query_file!("src/store/postgres/key_places.sql", &ours).fetch_all(&mut **tx).await? {
        let path = wanted.get(&row.key_path).map(|(path, _)| path);
        let Some(standing) = path.and_then(|path| standings.get_mut(path)) else { continue };
        let place = u32::try_from(row.place).unwrap_or(0);
        standing.seen.push(place);
        if row.held {
            standing.held.push((place, RunId(row.run_id)));
        }
    }
    let places: Vec<_> =
        ours.iter().map(|path| wanted.get(path).map_or(0, |(_, places)| count(*places))).collect();
    let judged: Vec<Uuid> = candidates.iter().map(|run| run.run.0).collect();
    let line = sqlx::query_file!("src/store/postgres/key_line.sql", &ours, &places, &judged, store.now());
    for row in line.fetch_all(&mut **tx).await? {
        let path = wanted.get(&row.key_path).map(|(path, _)| path);
        let Some(standing) = path.and_then(|path| standings.get_mut(path)) else { continue };
        standing.ahead.push((row.due_at, row.run_at, RunId(row.id)));
    }
    Ok(standings)
}

/// Writes down who has which place. Nobody else gives places of these keys out meanwhile.
pub(super) async fn take_places(tx: &mut Tx, places: &[(RunId, u32)]) -> Result<(), StoreError> {
    if places.is_empty() {
        return Ok(());
    }
    let (runs, places): (Vec<_>, Vec<_>) = places.iter().map(|(run, place)| (run.0, count(*place))).unzip();
    sqlx::query_file!("src/store/postgres/take_places.sql", &runs, &places).execute(&mut **tx).await?;
    Ok(())
}
