//! Partitions are made ahead and dropped, also while somebody reads history for long.

use std::time::Duration;

use chrono::{DateTime, Utc};
use punctual_scheduler::store::{PostgresStore, Store};
use sqlx::PgPool;

use super::execute;

async fn partitions(pool: &PgPool) -> Vec<String> {
    let children = "select c.relname::text from pg_class c
        where c.relnamespace = 'punctual'::regnamespace and c.relkind = 'r' and c.relname ~ '_\\d{8}$' order by 1";
    sqlx::query_scalar(children).fetch_all(pool).await.unwrap()
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_long_reader_of_history_holds_up_neither_new_partitions_nor_anybody_else(pool: PgPool) {
    let store = PostgresStore::new(pool.clone());
    let now: DateTime<Utc> = sqlx::query_scalar("select now()").fetch_one(&pool).await.unwrap();
    let before = partitions(&pool).await;
    let mut reader = pool.begin().await.unwrap();
    for read in ["select max(worker) from punctual.job_history", "select count(*) from punctual.run_ledger"] {
        sqlx::query(read).execute(&mut *reader).await.unwrap();
    }

    // Two months on: everything is new, and all that is there but the long class is due to go.
    store.pin_now(Some(now + chrono::TimeDelta::days(60)));
    store.maintain_partitions().await.unwrap();
    let during = partitions(&pool).await;
    let new = during.iter().filter(|name| !before.contains(name)).count();
    assert_eq!(new, 9 * 7, "all of nine days: {during:?}");
    assert!(before.iter().all(|name| during.contains(name)), "what is being read stays");
    // The reader held nobody up for longer than the attempt took: history is written and read.
    let write = "insert into punctual.run_history
        (id, retention, ended_at, namespace, origin, state, task_queue, kind, due_at, shard_index, created_at, attempts, tries_used)
        values (gen_random_uuid(), 'default', now(), 'default', 'one_off', 'failed', 'default', 'k', now(), 0, now(), 0, 0)";
    tokio::time::timeout(Duration::from_secs(20), execute(&pool, write)).await.unwrap();
    reader.rollback().await.unwrap();

    store.maintain_partitions().await.unwrap();
    let after = partitions(&pool).await;
    let kept: Vec<_> = before.iter().filter(|name| after.contains(name)).collect();
    assert!(!kept.is_empty() && kept.iter().all(|name| name.contains("_long_")), "{kept:?}");
    assert_eq!(after.len(), kept.len() + new);
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_partition_made_by_hand_for_its_day_has_all_that_its_parent_has(pool: PgPool) {
    execute(&pool, "select punctual.ensure_partitions('2040-01-01', 1)").await;
    let differing: Vec<String> = sqlx::query_scalar(
        "select p.relname || ': ' || pi.count || ' and ' || ci.count
         from pg_inherits i
         join pg_class p on p.oid = i.inhparent
         join pg_class c on c.oid = i.inhrelid and c.relname ~ '_20400101$'
         cross join lateral (select count(*) from pg_index x where x.indrelid = p.oid) pi
         cross join lateral (select count(*) from pg_index x where x.indrelid = c.oid) ci
         where pi.count <> ci.count",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(differing, [] as [String; 0]);
    let made: i64 = sqlx::query_scalar(
        "select count(*) from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where c.relname ~ '_20400101$' and c.relkind = 'r'",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(made, 7);
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn schedulers_that_start_together_make_each_partition_once(pool: PgPool) {
    let ensure = || {
        sqlx::query_scalar::<_, i32>("select punctual.ensure_partitions('2040-01-01', 3)").fetch_one(&pool)
    };
    let (one, two) = tokio::join!(ensure(), ensure());
    // The second waits for the first, or gives up and tries again in a minute.
    let made = one.unwrap_or(0) + two.unwrap_or(0);
    assert_eq!(made, 3 * 7);
}
