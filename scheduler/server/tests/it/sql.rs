//! What people read and call in SQL.

mod catalog;
mod functions;
mod page;
mod partitions;
mod plans;
mod views;

use sqlx::PgPool;

/// Runs one statement.
async fn execute(pool: &PgPool, statement: &'static str) {
    sqlx::query(statement).execute(pool).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
}
