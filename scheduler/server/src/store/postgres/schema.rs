//! The schema's version: migrating a database and refusing one that does not fit.

use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions as _, Connection as _};

use super::pool::{Address, Pool};
use crate::store::StoreError;

/// The migrations, embedded in the binary.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

/// How many versions ahead of this release a schema may be: those of the next release.
const TOLERATED_AHEAD: i64 = 1;

/// Brings the database at `url` to this release's schema, and sets the role's time-outs in it. Done twice, the
/// second changes nothing. Takes a lock, so that two at once do it in turn.
///
/// # Errors
/// When the database cannot be reached, a migration fails, or the schema is from a later release.
pub async fn migrate(url: &str) -> Result<(), MigrateError> {
    // A migration may be slow and is long: nobody wants its text in the log.
    let address = Address::of(url).map_err(MigrateError::Connect)?;
    if address.pooled {
        return Err(MigrateError::Pooled);
    }
    let options = address.options.disable_statement_logging();
    let mut connection = PgConnection::connect_with(&options).await.map_err(MigrateError::Connect)?;
    MIGRATOR.run(&mut connection).await.map_err(MigrateError::Migrate)?;
    // On the role and not per session, so that a pooler in transaction mode changes nothing.
    sqlx::raw_sql(include_str!("set_role_timeouts.sql"))
        .execute(&mut connection)
        .await
        .map_err(MigrateError::Connect)?;
    connection.close().await.map_err(MigrateError::Connect)
}

/// Why a database was not migrated.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The URL leads through a pooler, where the lock that keeps two migrations apart does not hold.
    #[error(
        "a migration cannot go through a pooler: give --database-direct-url, the same Postgres without it"
    )]
    Pooled,
    /// It cannot be reached or refused a statement.
    #[error("the database could not be asked")]
    Connect(#[source] sqlx::Error),
    /// A migration failed; it is undone as a whole.
    #[error("the schema could not be migrated")]
    Migrate(#[source] sqlx::migrate::MigrateError),
}

/// This release's own version: that of its last migration.
fn needed() -> i64 {
    MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0)
}

pub(super) async fn check(pool: &Pool) -> Result<(), StoreError> {
    let needed = needed();
    // The bookkeeping table is the migrator's own; without it the database was never migrated.
    let found: Option<i64> =
        match sqlx::query_scalar("select max(version) from _sqlx_migrations where success")
            .fetch_one(pool)
            .await
        {
            Ok(found) => found,
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42P01") => None,
            Err(error) => return Err(error.into()),
        };
    let found = found.unwrap_or(0);
    if found < needed || found > needed + TOLERATED_AHEAD {
        return Err(StoreError::SchemaVersion { found, needed });
    }
    Ok(())
}
