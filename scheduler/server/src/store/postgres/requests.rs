//! Answers to calls that change many things at once, by request id, for 24 hours.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{Postgres, Transaction};

use super::{PostgresStore, rows};
use crate::store::{RequestId, StoreError};

type Tx = Transaction<'static, Postgres>;

/// What an earlier call with this request id was answered. Until the transaction ends, one that comes at the same time
/// waits here, so that of two repeats one does the work and the other gets its answer.
pub(super) async fn earlier<T: DeserializeOwned>(
    tx: &mut Tx,
    request: Option<&RequestId>,
    method: &str,
    now: DateTime<Utc>,
) -> Result<Option<T>, StoreError> {
    let Some(RequestId(request)) = request else { return Ok(None) };
    let claimed = sqlx::query!(
        "insert into punctual.call_request (request_id, method, answer, created_at) values ($1, $2, 'null', $3)
         on conflict (request_id) do nothing",
        request,
        method,
        now
    )
    .execute(&mut **tx)
    .await?;
    if claimed.rows_affected() == 1 {
        return Ok(None);
    }
    let known =
        sqlx::query!("select method, answer from punctual.call_request where request_id = $1", request)
            .fetch_one(&mut **tx)
            .await?;
    if known.method != method {
        return Err(StoreError::RequestReused(request.clone()));
    }
    rows::definition(&format!("answer to request {request:?}"), known.answer).map(Some)
}

/// Keeps the answer of a call that has claimed its request id.
pub(super) async fn remember(
    tx: &mut Tx,
    request: Option<&RequestId>,
    answer: &(impl Serialize + Sync),
) -> Result<(), StoreError> {
    if let Some(RequestId(request)) = request {
        // Plain structs of numbers and ids always serialise.
        let answer = serde_json::to_value(answer).unwrap_or_default();
        sqlx::query!("update punctual.call_request set answer = $2 where request_id = $1", request, answer)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

pub(super) async fn forget(store: &PostgresStore) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from punctual.call_request where created_at < coalesce($1, statement_timestamp()) - interval '24 hours'",
        store.now()
    )
    .execute(&store.pool)
    .await?;
    Ok(())
}
