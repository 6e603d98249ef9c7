//! Namespaces: a listing of one that nobody made is no empty listing.

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::name::Namespace;
use punctual_scheduler_domain::retention::{Retention, RetentionClass};

use super::{PostgresStore, rows};
use crate::store::{NamespaceRecord, StoreError};

/// Fails when nobody made it. To be asked where nothing was found, so that what is there costs nothing more.
pub(super) async fn require(store: &PostgresStore, namespace: &Namespace) -> Result<(), StoreError> {
    let exists = sqlx::query_scalar!(
        r#"select exists (select from punctual.namespace where name = $1) as "exists!""#,
        namespace.as_ref()
    )
    .fetch_one(&store.pool)
    .await?;
    if exists { Ok(()) } else { Err(StoreError::UnknownNamespace(namespace.clone())) }
}

/// Makes it. `false` when it is there already; then nothing changes.
pub(super) async fn create(
    store: &PostgresStore,
    namespace: &Namespace,
    retention: Retention,
) -> Result<bool, StoreError> {
    let made = sqlx::query!(
        "insert into punctual.namespace (name, created_at, keep_success, keep_failure)
         values ($1, coalesce($2, statement_timestamp()), $3, $4) on conflict (name) do nothing",
        namespace.as_ref(),
        store.now(),
        retention.success.map(RetentionClass::as_str),
        retention.failure.map(RetentionClass::as_str)
    )
    .execute(&store.pool)
    .await?;
    Ok(made.rows_affected() > 0)
}

pub(super) async fn list(store: &PostgresStore) -> Result<Vec<NamespaceRecord>, StoreError> {
    sqlx::query_as!(
        Row,
        "select name, created_at, keep_success, keep_failure from punctual.namespace order by name"
    )
    .fetch_all(&store.pool)
    .await?
    .into_iter()
    .map(Row::into_record)
    .collect()
}

struct Row {
    name: String,
    created_at: DateTime<Utc>,
    keep_success: Option<String>,
    keep_failure: Option<String>,
}

impl Row {
    fn into_record(self) -> Result<NamespaceRecord, StoreError> {
        Ok(NamespaceRecord {
            name: rows::parsed("namespace", &self.name)?,
            created_at: self.created_at,
            retention: Retention { success: class(self.keep_success)?, failure: class(self.keep_failure)? },
        })
    }
}

fn class(word: Option<String>) -> Result<Option<RetentionClass>, StoreError> {
    word.map(|word| rows::parsed("retention class", &word)).transpose()
}

/// Takes an empty one away, with what its deleted jobs left. The history of its runs stays for as long as it is kept.
pub(super) async fn delete(store: &PostgresStore, namespace: &Namespace) -> Result<(), StoreError> {
    let mut tx = store.pool.begin().await?;
    // Whoever makes something in it holds its row, so from here on nobody does.
    let locked =
        sqlx::query!("select from punctual.namespace where name = $1 for update", namespace.as_ref())
            .fetch_optional(&mut *tx)
            .await?;
    if locked.is_none() {
        return Err(StoreError::UnknownNamespace(namespace.clone()));
    }
    let held = sqlx::query_file!("src/store/postgres/held_by_namespace.sql", namespace.as_ref())
        .fetch_one(&mut *tx)
        .await?;
    if held.jobs + held.runs + held.calendars > 0 {
        let count = |count: i64| u64::try_from(count).unwrap_or(0);
        return Err(StoreError::NamespaceNotEmpty {
            namespace: namespace.clone(),
            jobs: count(held.jobs),
            runs: count(held.runs),
            calendars: count(held.calendars),
        });
    }
    sqlx::query_file!("src/store/postgres/delete_namespace.sql", namespace.as_ref())
        .execute(&mut *tx)
        .await?;
    sqlx::query!("delete from punctual.job where namespace = $1", namespace.as_ref())
        .execute(&mut *tx)
        .await?;
    sqlx::query!("delete from punctual.lane where namespace = $1", namespace.as_ref())
        .execute(&mut *tx)
        .await?;
    sqlx::query!("delete from punctual.task_queue where namespace = $1", namespace.as_ref())
        .execute(&mut *tx)
        .await?;
    sqlx::query!("delete from punctual.namespace where name = $1", namespace.as_ref())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    store.lanes.forget();
    Ok(())
}
