//! Any sequence of calls: the model and Postgres must answer each alike, and show the same runs and jobs after it.
//!
//! A seed makes the sequence. What is random in the ids of planned runs and in the numbers of nodes is given a name
//! on each side before the two are compared.

mod backfills;
mod calls;
mod pair;

use sqlx::PgPool;

use pair::Pair;

/// Calls of one sequence; ten times as many when all the time in the world is given.
const CALLS: usize = 250;
/// A sequence goes on until it has seen more runs than these.
const FEWEST_RUNS: usize = 50;

async fn check(pool: PgPool, seed: u64) {
    let calls = if std::env::var_os("PUNCTUAL_TEST_FULL").is_some() { CALLS * 10 } else { CALLS };
    let mut pair = Pair::new(pool, seed).await;
    let mut made = 0;
    while made < calls || pair.runs.len() <= FEWEST_RUNS {
        pair.advance();
        calls::any(&mut pair).await;
        pair.compare_views().await;
        made += 1;
    }
    pair.compare_every_run().await;
    pair.reconcile().await;
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn the_stores_agree_on_sequence_1(pool: PgPool) {
    check(pool, 1).await;
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn the_stores_agree_on_sequence_2(pool: PgPool) {
    check(pool, 2).await;
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn the_stores_agree_on_sequence_3(pool: PgPool) {
    check(pool, 3).await;
}
