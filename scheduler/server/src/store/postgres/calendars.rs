//! Calendars by name, remembered with their revisions.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use punctual_scheduler_domain::calendar::{Calendar, CalendarSpec, Calendars};
use punctual_scheduler_domain::id::JobId;
use punctual_scheduler_domain::job::JobSpec;
use punctual_scheduler_domain::name::{CalendarName, Namespace};
use sqlx::{Postgres, Transaction};

use super::definitions::Definition;
use super::{PostgresStore, namespaces, rows};
use crate::store::{NamedCalendar, StoreError};

type Tx = Transaction<'static, Postgres>;
type Key = (Namespace, CalendarName);

/// Beyond this many the memory is emptied and fills again: a bound, not a tuning knob.
const MOST_KNOWN: usize = 1_000;

/// Those that were read before, ready for use.
#[derive(Default)]
pub(super) struct KnownCalendars {
    known: Mutex<HashMap<Key, (i64, Arc<Calendar>)>>,
}

/// The calendars that the schedules of these definitions name, as they are now.
pub(super) async fn named_by(
    store: &PostgresStore,
    tx: &mut Tx,
    definitions: impl IntoIterator<Item = &Definition>,
) -> Result<HashMap<Namespace, Calendars>, StoreError> {
    let mut wanted = BTreeSet::new();
    for definition in definitions {
        wanted.extend(names(&definition.spec).map(|name| (definition.namespace.clone(), name.clone())));
    }
    load(store, &mut *tx, wanted).await
}

/// All calendars of a namespace that these schedules name, for a look ahead.
pub(super) async fn get(
    store: &PostgresStore,
    namespace: &Namespace,
    wanted: &[CalendarName],
) -> Result<Calendars, StoreError> {
    let wanted = wanted.iter().map(|name| (namespace.clone(), name.clone())).collect();
    let mut tx = store.pool.begin().await?;
    let mut found = load(store, &mut tx, wanted).await?;
    tx.rollback().await?;
    Ok(found.remove(namespace).unwrap_or_default())
}

async fn load(
    store: &PostgresStore,
    tx: &mut Tx,
    wanted: BTreeSet<Key>,
) -> Result<HashMap<Namespace, Calendars>, StoreError> {
    let mut found: HashMap<Namespace, Calendars> = HashMap::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let cache = &store.calendars.known;
    let revisions: Vec<_> = {
        let known = cache.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.iter().map(|key| known.get(key).map_or(0, |(revision, _)| *revision)).collect()
    };
    let namespaces: Vec<_> = wanted.iter().map(|(namespace, _)| namespace.to_string()).collect();
    let names: Vec<_> = wanted.iter().map(|(_, name)| name.to_string()).collect();
    let rows = sqlx::query_file!("src/store/postgres/calendars_by_name.sql", &namespaces, &names, &revisions)
        .fetch_all(&mut **tx)
        .await?;
    let mut known = cache.lock().unwrap_or_else(PoisonError::into_inner);
    for row in rows {
        let key: Key = (rows::parsed("namespace", &row.namespace)?, rows::parsed("calendar", &row.name)?);
        if let Some(spec) = row.spec {
            let calendar = Arc::new(compiled(&row.name, spec)?);
            if known.len() >= MOST_KNOWN {
                known.clear();
            }
            known.insert(key.clone(), (row.revision, calendar));
        }
        if let Some((_, calendar)) = known.get(&key) {
            found.entry(key.0).or_default().insert(key.1, Arc::clone(calendar));
        }
    }
    Ok(found)
}

fn compiled(name: &str, spec: serde_json::Value) -> Result<Calendar, StoreError> {
    let what = format!("calendar {name}");
    let spec: CalendarSpec = rows::definition(&what, spec)?;
    Calendar::compile(&spec)
        .map_err(|error| StoreError::Definition { what, source: serde::de::Error::custom(error) })
}

fn names(spec: &JobSpec) -> impl Iterator<Item = &CalendarName> {
    spec.schedule.iter().flat_map(|schedule| &schedule.exclude)
}

/// Notes which calendars a job names, so that none of them goes.
///
/// # Errors
/// [`StoreError::NoSuchCalendar`].
pub(super) async fn note_use(
    tx: &mut Tx,
    job: JobId,
    namespace: &Namespace,
    spec: &JobSpec,
) -> Result<(), StoreError> {
    let named: BTreeSet<_> = names(spec).map(ToString::to_string).collect();
    let named: Vec<_> = named.into_iter().collect();
    sqlx::query_file!("src/store/postgres/use_calendars.sql", job.0, namespace.as_ref(), &named)
        .execute(&mut **tx)
        .await
        .map_err(|error| match &error {
            sqlx::Error::Database(inner) if inner.constraint() == Some("calendar_use_calendar") => {
                StoreError::NoSuchCalendar { namespace: namespace.clone(), names: named.join(", ") }
            }
            _ => error.into(),
        })?;
    Ok(())
}

pub(super) async fn put(
    store: &PostgresStore,
    namespace: &Namespace,
    name: &CalendarName,
    spec: &CalendarSpec,
) -> Result<(), StoreError> {
    // A struct of strings and numbers always serialises.
    let spec = serde_json::to_value(spec).unwrap_or_default();
    sqlx::query_file!(
        "src/store/postgres/put_calendar.sql",
        namespace.as_ref(),
        name.as_ref(),
        spec,
        store.now()
    )
    .execute(&store.pool)
    .await
    .map_err(|error| match &error {
        sqlx::Error::Database(inner) if inner.is_foreign_key_violation() => {
            StoreError::UnknownNamespace(namespace.clone())
        }
        _ => error.into(),
    })?;
    Ok(())
}

pub(super) async fn list(
    store: &PostgresStore,
    namespace: &Namespace,
    name: Option<&CalendarName>,
) -> Result<Vec<NamedCalendar>, StoreError> {
    let name = name.map(AsRef::as_ref);
    let found = sqlx::query_file_as!(
        rows::CalendarRow,
        "src/store/postgres/list_calendars.sql",
        namespace.as_ref(),
        name
    )
    .fetch_all(&store.pool)
    .await?;
    if found.is_empty() {
        namespaces::require(store, namespace).await?;
    }
    found.into_iter().map(rows::CalendarRow::into_calendar).collect()
}

pub(super) async fn delete(
    store: &PostgresStore,
    namespace: &Namespace,
    name: &CalendarName,
) -> Result<bool, StoreError> {
    let deleted = sqlx::query!(
        "delete from punctual.calendar where namespace = $1 and name = $2",
        namespace.as_ref(),
        name.as_ref()
    )
    .execute(&store.pool)
    .await
    .map_err(|error| match &error {
        sqlx::Error::Database(inner) if inner.constraint() == Some("calendar_use_calendar") => {
            StoreError::CalendarInUse { namespace: namespace.clone(), name: name.clone() }
        }
        _ => error.into(),
    })?;
    Ok(deleted.rows_affected() > 0)
}
