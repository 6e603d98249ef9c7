//! Calls about backfills.

use chrono::{SubsecRound, TimeDelta};
use punctual_scheduler::store::{BackfillSelection, NewBackfill};
use punctual_scheduler_domain::id::BackfillId;
use punctual_scheduler_domain::job::Overlap;
use punctual_scheduler_domain::name::Namespace;
use rand::Rng;
use rand::seq::IndexedRandom;
use uuid::Uuid;

use super::calls::{JOBS, request_id};
use super::pair::Pair;
use crate::conformance::world::job_name;

/// Makes one call on both stores.
pub(super) async fn any(pair: &mut Pair) {
    match pair.random.random_range(0..10) {
        0..4 => create(pair).await,
        4..8 => plan(pair).await,
        8 => cancel(pair).await,
        _ => list(pair).await,
    }
}

async fn create(pair: &mut Pair) {
    let name = job_name(JOBS.choose(&mut pair.random).unwrap());
    let id = BackfillId(Uuid::now_v7());
    let from = pair.now().trunc_subsecs(0) - TimeDelta::seconds(pair.random.random_range(20..200));
    let until = from + TimeDelta::seconds(pair.random.random_range(1..20));
    let overlap = *Overlap::ALL.choose(&mut pair.random).unwrap();
    let request = request_id(pair);
    pair.backfills.push(id);
    let _ = pair
        .call(format!("backfill {id} of {name} {from} to {until} {overlap} {request:?}"), async |side| {
            let job = side.store().get_job(&Namespace::default(), &name).await.unwrap();
            let Some(job) = job else { return Err("no such job".to_owned()) };
            let author = "me".to_owned();
            let new = NewBackfill {
                id,
                job: job.id,
                version: job.version,
                from,
                until,
                overlap,
                instants: 9,
                author,
            };
            let made = side.store().create_backfill(new, request.clone()).await;
            made.map_err(|error| error.to_string())
        })
        .await;
}

async fn plan(pair: &mut Pair) {
    pair.call("plan a backfill".to_owned(), async |side| side.store().plan_backfill().await.unwrap()).await;
}

async fn cancel(pair: &mut Pair) {
    let Some(id) = pair.backfills.choose(&mut pair.random).copied() else { return };
    pair.call(format!("cancel backfill {id}"), async |side| {
        side.store().cancel_backfill(id, "on a whim").await.unwrap()
    })
    .await;
}

async fn list(pair: &mut Pair) {
    let job = pair.random.random_bool(0.5).then(|| job_name("a"));
    let before = pair.backfills.choose(&mut pair.random).copied().filter(|_| pair.backfills.len() > 2);
    let selection = BackfillSelection { namespace: Namespace::default(), job, before, limit: 3 };
    pair.call(format!("list backfills {selection:?}"), async |side| {
        side.store().list_backfills(&selection).await.unwrap()
    })
    .await;
}
