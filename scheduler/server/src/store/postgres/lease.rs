//! The lease of a scheduler and the shards it owns under it.

use punctual_scheduler_domain::id::{ReplicaId, Shard};

use super::{PostgresStore, interval};
use crate::store::{EndedReplica, Ownership, Replica, SCHEDULER_LEASE, StoreError};

pub(super) async fn renew(store: &PostgresStore, replica: &Replica) -> Result<Ownership, StoreError> {
    let now = store.now();
    let id = replica.id.0;
    let mut tx = store.steady.begin().await?;
    sqlx::query_file!("src/store/postgres/renew_lease.sql", id, replica.name, now, interval(SCHEDULER_LEASE))
        .execute(&mut *tx)
        .await?;
    let ended =
        sqlx::query_file!("src/store/postgres/end_silent_replicas.sql", now, id).fetch_all(&mut *tx).await?;
    let replicas =
        sqlx::query_file_scalar!("src/store/postgres/count_replicas.sql", now).fetch_one(&mut *tx).await?;
    let mut owned =
        sqlx::query_file_scalar!("src/store/postgres/owned_shards.sql", id).fetch_all(&mut *tx).await?;
    let fair = usize::from(Shard::COUNT).div_ceil(usize::try_from(replicas).unwrap_or(1).max(1));
    if owned.len() > fair {
        let surplus = owned.split_off(fair);
        sqlx::query_file!("src/store/postgres/give_up_shards.sql", id, &surplus).execute(&mut *tx).await?;
    } else if owned.len() < fair {
        let room = i64::try_from(fair - owned.len()).unwrap_or(0);
        let taken = sqlx::query_file_scalar!("src/store/postgres/take_shards.sql", id, room)
            .fetch_all(&mut *tx)
            .await?;
        owned.extend(taken);
    }
    tx.commit().await?;
    Ok(Ownership {
        shards: owned.into_iter().filter_map(|shard| u8::try_from(shard).ok().and_then(Shard::new)).collect(),
        replicas: u32::try_from(replicas).unwrap_or(1),
        ended: ended
            .into_iter()
            .map(|row| EndedReplica { id: ReplicaId(row.replica), expired_at: row.expires_at })
            .collect(),
    })
}

pub(super) async fn release(store: &PostgresStore, replica: ReplicaId) -> Result<(), StoreError> {
    sqlx::query!("delete from punctual.scheduler_lease where replica = $1", replica.0)
        .execute(&store.steady)
        .await?;
    Ok(())
}
