//! What every store must do, driven through the trait: the same scenarios on the real one and on the model.
//!
//! Time is pinned and moved by hand, so nothing here waits.

mod admission;
mod after;
mod attempts;
mod audit;
mod backfills;
mod backlog;
mod calendars;
mod changes;
mod concurrency_keys;
mod delays;
mod deletes;
mod doorbells;
mod locks;
mod misfires;
mod overlap;
mod owners;
mod pauses;
mod planning;
mod priorities;
mod races;
mod random;
mod runs;
mod sessions;
mod task_queues;
mod transitions;
mod triggers;
pub(crate) mod world;

/// Makes two tests of each scenario: one on the model, one on a database of its own.
macro_rules! on_both_stores {
    ($($scenario:ident),+ $(,)?) => {
        mod on_the_model {
            $(
                #[tokio::test]
                async fn $scenario() {
                    super::$scenario(crate::conformance::world::World::model()).await;
                }
            )+
        }
        mod on_postgres {
            $(
                #[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
                async fn $scenario(pool: sqlx::PgPool) {
                    super::$scenario(crate::conformance::world::World::postgres(pool).await).await;
                }
            )+
        }
    };
}
pub(crate) use on_both_stores;
