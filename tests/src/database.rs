//! A database for one test.

use std::str::FromStr;

use anyhow::{Context, ensure};
use punctual_postgres::ThrowAway;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, Executor, PgConnection, PgPool};
use uuid::Uuid;

use crate::pooler::Pooler;
use crate::{process, programs};

/// A database of its own in the Postgres of `DATABASE_URL`, or else in one that is started for it.
#[derive(Debug)]
pub struct Database {
    url: String,
    pool: PgPool,
    server_url: String,
    name: String,
    /// What processes reach it through.
    pooler: Option<Pooler>,
    /// Stops, and takes everything with it, when dropped.
    own: Option<ThrowAway>,
}

impl Database {
    /// Makes an empty database.
    ///
    /// # Errors
    /// When no Postgres can be had.
    pub async fn empty() -> anyhow::Result<Self> {
        match std::env::var("DATABASE_URL") {
            Ok(url) => Self::made_in(url, None).await,
            Err(_) => Self::empty_in_its_own().await,
        }
    }

    /// Makes an empty database in a Postgres that is started for it, to which anything may be done.
    async fn empty_in_its_own() -> anyhow::Result<Self> {
        let postgres = ThrowAway::start(&programs::scratch()?.join("postgres"), Vec::new())?;
        Self::made_in(postgres.postgres().url("postgres"), Some(postgres)).await
    }

    async fn made_in(server_url: String, own: Option<ThrowAway>) -> anyhow::Result<Self> {
        let name = format!("punctual_test_{}", Uuid::new_v4().simple());
        let mut server = PgConnection::connect(&server_url).await.context("cannot reach Postgres")?;
        server.execute(sqlx::AssertSqlSafe(format!("create database {name}"))).await?;
        server.close().await?;
        let url = in_database(&server_url, &name)?;
        let options = PgConnectOptions::from_str(&url)?;
        let pooler = if Pooler::is_wanted() { Some(Pooler::start(&options).await?) } else { None };
        let pool = PgPoolOptions::new().max_connections(4).connect_with(options).await?;
        let url = pooler.as_ref().map_or(url, |pooler| pooler.url(&name));
        Ok(Self { url, pool, server_url, name, pooler, own })
    }

    /// Makes a database with the schema that the binary under test brings.
    ///
    /// # Errors
    /// When no Postgres can be had, or `punctual migrate` fails.
    pub async fn migrated() -> anyhow::Result<Self> {
        let database = Self::empty().await?;
        database.migrate()?;
        Ok(database)
    }

    /// The same in a Postgres of its own, which can be crashed.
    ///
    /// # Errors
    /// When Postgres cannot be started, or `punctual migrate` fails.
    pub async fn migrated_in_its_own() -> anyhow::Result<Self> {
        let database = Self::empty_in_its_own().await?;
        database.migrate()?;
        Ok(database)
    }

    fn migrate(&self) -> anyhow::Result<()> {
        let migrate = ["migrate", "--database-direct-url", &self.direct_url()?];
        let output = process::output(&programs::punctual()?, &migrate, &[])?;
        ensure!(output.status.success(), "migrate failed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Stops its Postgres as a crash would and starts it again: `pg_ctl restart -m immediate`.
    ///
    /// # Errors
    /// When it has no Postgres of its own, or Postgres does not come back.
    pub fn crash(&mut self) -> anyhow::Result<()> {
        let own = self.own.as_mut().context("this Postgres belongs to others too")?;
        Ok(tokio::task::block_in_place(|| own.postgres_mut().restart_immediate())?)
    }

    /// For processes.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// For what a pooler must not stand in the way of.
    ///
    /// # Errors
    /// When the URL of the server is malformed.
    pub fn direct_url(&self) -> anyhow::Result<String> {
        in_database(&self.server_url, &self.name)
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
        drop(self.pooler);
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
