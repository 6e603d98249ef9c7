//! Sessions of workers: how they are opened, counted and ended.

use std::time::Duration;

use punctual_scheduler::store::{Beat, PostgresStore, Registered, Store};
use punctual_scheduler_domain::attempt::AttemptOutcome;
use punctual_scheduler_domain::id::SessionId;
use punctual_scheduler_domain::run::RunState;
use sqlx::PgPool;
use uuid::Uuid;

use super::world::{World, a_job, new_session, seconds};
use super::{locks, on_both_stores};

on_both_stores!(
    a_session_that_closes_gives_its_attempts_back,
    a_session_that_has_ended_is_not_opened_again,
    a_draining_worker_counts_no_more,
);

async fn a_session_that_closes_gives_its_attempts_back(world: World) {
    world.job("work", a_job()).await;
    let session = world.worker(1).await;
    let grant = world.running("work", session).await;
    world.store.unregister_worker(session).await.unwrap();
    let (run, attempts) = world.get(grant.run).await;
    assert_eq!((run.state, run.tries_used), (RunState::Scheduled, 0));
    assert_eq!(attempts[0].outcome, Some(AttemptOutcome::Released));
    assert_eq!(world.beat(session, &[]).await, None);
    assert!(world.store.fleets().await.unwrap().is_empty());
}

async fn a_session_that_has_ended_is_not_opened_again(world: World) {
    let (closed, silent) = (world.worker(1).await, world.worker(1).await);
    world.store.unregister_worker(closed).await.unwrap();
    world.advance(seconds(10));
    assert_eq!(world.store.reap_sessions(10).await.unwrap().sessions, 1);
    for session in [closed, silent] {
        let again = world.store.register_worker(new_session(session, 1, &["work"])).await.unwrap();
        assert_eq!(again, Registered::SessionLost);
        assert_eq!(world.beat(session, &[]).await, None);
    }
    assert!(world.store.fleets().await.unwrap().is_empty());
}

async fn a_draining_worker_counts_no_more(world: World) {
    let (stays, leaves) = (world.worker_for(3, &["a", "b"]).await, world.worker_for(5, &["b", "c"]).await);
    let fleet = |fleets: Vec<punctual_scheduler::store::Fleet>| {
        let mut kinds: Vec<_> = fleets[0].kinds.iter().map(ToString::to_string).collect();
        kinds.sort_unstable();
        (fleets.len(), fleets[0].places, kinds.concat())
    };
    assert_eq!(fleet(world.store.fleets().await.unwrap()), (1, 8, "abc".to_owned()));
    let beat = Beat { session: leaves, held: Vec::new(), draining: true };
    world.store.heartbeat(&beat).await.unwrap();
    // Once said it stays so.
    world.beat(leaves, &[]).await;
    assert_eq!(fleet(world.store.fleets().await.unwrap()), (1, 3, "ab".to_owned()));
    world.store.register_worker(new_session(stays, 4, &["d"])).await.unwrap();
    assert_eq!(fleet(world.store.fleets().await.unwrap()), (1, 4, "d".to_owned()));
    world.advance(seconds(10));
    assert!(world.store.fleets().await.unwrap().is_empty(), "a lease that has run out counts for nothing");
}

/// An end of a session that has not committed yet when the worker registers once more.
#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_session_that_ends_while_it_registers_is_not_opened(pool: PgPool) {
    let store = PostgresStore::new(pool.clone());
    let session = SessionId(Uuid::new_v4());
    let register = || store.register_worker(new_session(session, 1, &["work"]));
    assert_eq!(register().await.unwrap(), Registered::Opened);
    let mut end = pool.begin().await.unwrap();
    for statement in [
        "delete from punctual.worker_lease where session = $1",
        "insert into punctual.ended_session (session, ended_at) values ($1, statement_timestamp())",
    ] {
        sqlx::query(statement).bind(session.0).execute(&mut *end).await.unwrap();
    }
    let ending = async {
        locks::awaited(&pool).await;
        end.commit().await.unwrap();
    };
    let both = async { tokio::join!(register(), ending).0 };
    let answer = tokio::time::timeout(Duration::from_secs(30), both).await.unwrap();
    assert_eq!(answer.unwrap(), Registered::SessionLost);
    assert!(store.fleets().await.unwrap().is_empty());
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn an_id_that_is_remembered_as_ended_keeps_no_session_from_being_ended(pool: PgPool) {
    let world = World::postgres(pool.clone()).await;
    let (closed, silent, other) = (world.worker(1).await, world.worker(1).await, world.worker(1).await);
    for session in [closed, silent] {
        let remember = sqlx::query("insert into punctual.ended_session values ($1, statement_timestamp())");
        remember.bind(session.0).execute(&pool).await.unwrap();
    }
    world.store.unregister_worker(closed).await.unwrap();
    world.advance(seconds(10));
    assert_eq!(world.store.reap_sessions(10).await.unwrap().sessions, 2);
    for session in [closed, silent, other] {
        let again = world.store.register_worker(new_session(session, 1, &["work"])).await.unwrap();
        assert_eq!(again, Registered::SessionLost);
    }
}
