//! Queue nodes and whether they are lost.

use super::{PostgresStore, interval};
use crate::store::{NODE_SILENT_AFTER, NodeId, NodeIdentity, StoreError};

pub(super) async fn seen(store: &PostgresStore, nodes: &[NodeIdentity]) -> Result<Vec<NodeId>, StoreError> {
    if nodes.is_empty() {
        return Ok(Vec::new());
    }
    let addresses: Vec<_> = nodes.iter().map(|node| node.address.clone()).collect();
    let identities: Vec<_> = nodes.iter().map(|node| node.identity.clone()).collect();
    let mut tx = store.pool.begin().await?;
    let ids =
        sqlx::query_file_scalar!("src/store/postgres/nodes_seen.sql", &addresses, &identities, store.now())
            .fetch_all(&mut *tx)
            .await?;
    sqlx::query_file!("src/store/postgres/replaced_nodes.sql", &addresses, &identities, store.now())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(ids.into_iter().map(NodeId).collect())
}

pub(super) async fn silent_with_queued_runs(
    store: &PostgresStore,
) -> Result<Vec<(NodeId, NodeIdentity)>, StoreError> {
    let rows = sqlx::query_file!(
        "src/store/postgres/silent_nodes_with_queued_runs.sql",
        store.now(),
        interval(NODE_SILENT_AFTER)
    )
    .fetch_all(&store.pool)
    .await?;
    let node = |id, address, identity| (NodeId(id), NodeIdentity { address, identity });
    Ok(rows.into_iter().map(|row| node(row.id, row.address, row.identity)).collect())
}

pub(super) async fn lost(store: &PostgresStore, node: NodeId) -> Result<bool, StoreError> {
    let marked = sqlx::query_file!("src/store/postgres/node_lost.sql", node.0, store.now())
        .execute(&store.pool)
        .await?;
    Ok(marked.rows_affected() == 1)
}
