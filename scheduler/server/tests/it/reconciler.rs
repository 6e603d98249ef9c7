//! The reconciler, on a real database.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use punctual_scheduler::publisher::Owned;
use punctual_scheduler::reconciler::{Reconciler, Totals};
use punctual_scheduler::store::JobChange;
use sqlx::PgPool;

use crate::conformance::world::{World, every, seconds};

async fn look(world: &World) -> Totals {
    Reconciler::new(Arc::clone(&world.store), Owned::default()).look().await.unwrap()
}

fn pause(until: Option<DateTime<Utc>>) -> JobChange {
    JobChange::Pause { reason: String::new(), by: String::new(), until }
}

/// Two jobs over an hour and a half, one of them paused for a while and changed.
async fn an_hour_and_more(world: &World) {
    world.job("tick", every(seconds(10))).await;
    world.job("tock", every(seconds(60))).await;
    for step in 0..1_080 {
        match step {
            600 => drop(world.change("tock", pause(None)).await.unwrap()),
            660 => drop(world.change("tock", JobChange::Resume { catch_up: false }).await.unwrap()),
            // Two pauses that are made up for: one because somebody asks for it, one that ends by itself.
            720 => drop(world.change("tick", pause(None)).await.unwrap()),
            722 => drop(world.change("tick", JobChange::Resume { catch_up: true }).await.unwrap()),
            760 => {
                let until = Some(world.now() + TimeDelta::seconds(33));
                world.change("tick", pause(until)).await.unwrap();
            }
            700 => {
                let spec = Box::new(every(seconds(30)));
                world.change("tock", JobChange::Update { spec, back_to: None }).await.unwrap();
            }
            _ => {}
        }
        world.plan().await;
        world.advance(Duration::from_secs(5));
    }
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn every_instant_of_an_hour_is_expected_and_found_and_one_that_is_taken_away_is_missed(pool: PgPool) {
    let world = World::postgres(pool.clone()).await;
    an_hour_and_more(&world).await;
    let whole = look(&world).await;
    assert!(whole.expected > 360 && whole.jobs == 2, "{whole:?}");
    assert_eq!(whole, Totals { found: whole.expected, absent: 0, unexpected: 0, ..whole.clone() });

    // One row is lost, another is of no rule's making.
    let within = world.now() - TimeDelta::minutes(25);
    let lost = "delete from punctual.run_ledger where (job_id, due_at) = (
        select job_id, due_at from punctual.run_ledger where due_at > $1 order by due_at, job_id limit 1)";
    assert_eq!(sqlx::query(lost).bind(within).execute(&pool).await.unwrap().rows_affected(), 1);
    let stray = "insert into punctual.run_ledger (job_id, due_at, run_id)
                 select id, $1, gen_random_uuid() from punctual.job where name = 'tick'";
    sqlx::query(stray).bind(within + TimeDelta::milliseconds(123)).execute(&pool).await.unwrap();
    let found = look(&world).await;
    assert_eq!(found, Totals { found: whole.found - 1, absent: 1, unexpected: 1, ..whole });
}

#[tokio::test(start_paused = true)]
async fn the_model_is_in_order_too() {
    let world = World::model();
    an_hour_and_more(&world).await;
    let found = look(&world).await;
    assert!(found.expected > 360, "{found:?}");
    assert_eq!((found.found, found.absent, found.unexpected), (found.expected, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_planned_yet_is_not_missed() {
    let world = World::model();
    world.job("tick", every(seconds(10))).await;
    world.advance(seconds(6));
    world.plan().await;
    // Nobody plans for half an hour.
    world.advance(seconds(1_800));
    let found = look(&world).await;
    assert_eq!((found.expected, found.absent), (1, 0), "{found:?}");
}
