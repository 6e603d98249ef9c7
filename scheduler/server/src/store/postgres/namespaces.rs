//! Namespaces: a listing of one that nobody made is no empty listing.

use punctual_scheduler_domain::name::Namespace;

use super::PostgresStore;
use crate::store::StoreError;

/// Fails when nobody made it. To be asked where nothing was found, so that what is there costs nothing more.
pub(super) async fn require(store: &PostgresStore, namespace: &Namespace) -> Result<(), StoreError> {
    let exists = sqlx::query_scalar!(
        r#"select exists (select from punctual.namespace where name = $1) as "exists!""#,
        namespace.as_ref()
    )
    .fetch_one(&store.pool)
    .await?;
    if exists { Ok(()) } else { Err(StoreError::UnknownNamespace(namespace.clone())) }
}
