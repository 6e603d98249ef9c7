//! Calls that hold every connection they can get do not hold up what keeps a scheduler in its place.

use std::time::Duration;

use chrono::{DateTime, Utc};
use punctual_proto::v1;
use sqlx::{Connection, PgConnection, PgPool};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::front::{Front, PATIENCE};

async fn expires_at(own: &mut PgConnection) -> Option<DateTime<Utc>> {
    let expires_at = "select max(expires_at) from punctual.scheduler_lease";
    sqlx::query_scalar(expires_at).fetch_one(own).await.unwrap()
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn the_lease_is_renewed_while_calls_wait_for_every_other_connection(pool: PgPool) {
    let front = Front::start(&pool).await;
    let options = pool.connect_options();
    let mut holder = PgConnection::connect_with(&options).await.unwrap();
    let mut own = PgConnection::connect_with(&options).await.unwrap();
    let mut held = holder.begin().await.unwrap();
    sqlx::query("lock table punctual.run_history in access exclusive mode")
        .execute(&mut *held)
        .await
        .unwrap();
    let mut calls = JoinSet::new();
    for _ in 0..50 {
        let mut runs = front.runs();
        calls.spawn(async move { runs.list_runs(v1::ListRunsRequest::default()).await });
    }
    let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    let renewed_while_all_wait = async {
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut own).await.unwrap() < 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let first = expires_at(&mut own).await.expect("the scheduler has a lease");
        // Twice as long as one lasts.
        while expires_at(&mut own).await.expect("it is never lost") < first + Duration::from_secs(2) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut own).await.unwrap()
    };
    let still_waiting = timeout(PATIENCE, renewed_while_all_wait).await.expect("the lease is renewed");
    assert!(still_waiting >= 3, "the calls did not hold the connections all the while: {still_waiting}");
    held.rollback().await.unwrap();
    drop(calls);
    front.stop().await;
}
