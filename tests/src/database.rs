//! A database for one test.

use std::str::FromStr;

use anyhow::{Context, bail};
use punctual_postgres::ThrowAway;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, Executor, PgConnection, PgPool};
use uuid::Uuid;

use crate::{process, programs};

/// A database of its own in the Postgres of `DATABASE_URL`, or else in one that is started for it.
#[derive(Debug)]
pub struct Database {
    url: String,
    pool: PgPool,
    server_url: String,
    name: String,
    /// Stops, and takes everything with it, when dropped.
    own: Option<ThrowAway>,
}

impl Database {
    /// Makes an empty database.
    ///
    /// # Errors
    /// When no Postgres can be had.
    pub async fn empty() -> anyhow::Result<Self> {
        let (server_url, own) = match std::env::var("DATABASE_URL") {
            Ok(url) => (url, None),
            Err(_) => {
                let postgres = ThrowAway::start(&programs::scratch()?.join("postgres"), Vec::new())?;
                (postgres.postgres().url("postgres"), Some(postgres))
            }
        };
        let name = format!("punctual_test_{}", Uuid::new_v4().simple());
        let mut server = PgConnection::connect(&server_url).await.context("cannot reach Postgres")?;
        server.execute(sqlx::AssertSqlSafe(format!("create database {name}"))).await?;
        server.close().await?;
        let url = in_database(&server_url, &name)?;
        let pool =
            PgPoolOptions::new().max_connections(4).connect_with(PgConnectOptions::from_str(&url)?).await?;
        Ok(Self { url, pool, server_url, name, own })
    }

    /// Makes a database with the schema that the binary under test brings.
    ///
    /// # Errors
    /// When no Postgres can be had, or `punctual migrate` fails.
    pub async fn migrated() -> anyhow::Result<Self> {
        let database = Self::empty().await?;
        let migrate = ["migrate", "--database-url", database.url()];
        let output = process::output(&programs::punctual()?, &migrate, &[])?;
        if !output.status.success() {
            bail!("migrate failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(database)
    }

    /// For processes.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// For looking into it.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// A number that a statement without parameters gives.
    ///
    /// # Errors
    /// Those of the statement.
    pub async fn count(&self, statement: &'static str) -> anyhow::Result<i64> {
        Ok(sqlx::query_scalar(statement).fetch_one(&self.pool).await?)
    }

    /// Removes it; dropping alone leaves it in a Postgres that is not ours, for a look at what went wrong.
    ///
    /// # Errors
    /// When Postgres refuses.
    pub async fn remove(self) -> anyhow::Result<()> {
        self.pool.close().await;
        if self.own.is_none() {
            let mut server = PgConnection::connect(&self.server_url).await?;
            server.execute(sqlx::AssertSqlSafe(format!("drop database {} with (force)", self.name))).await?;
            server.close().await?;
        }
        Ok(())
    }
}

/// The same URL with another database.
fn in_database(url: &str, name: &str) -> anyhow::Result<String> {
    let (rest, query) = url.split_once('?').map_or((url, None), |(rest, query)| (rest, Some(query)));
    let authority = rest.find("://").map(|at| at + 3).context("the database URL has no scheme")?;
    let base = rest[authority..].find('/').map_or(rest, |at| &rest[..authority + at]);
    Ok(format!("{base}/{name}{}", query.map_or_else(String::new, |query| format!("?{query}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_of_a_url_changes() {
        let check = |url: &str, expect: &str| assert_eq!(in_database(url, "t").expect("a good URL"), expect);
        check("postgres://u:p@h:1/db?host=/tmp", "postgres://u:p@h:1/t?host=/tmp");
        check("postgres://localhost", "postgres://localhost/t");
        check("postgres://localhost/", "postgres://localhost/t");
    }
}
