//! Connections, straight to Postgres or through a pooler that gives each transaction another of them.

use std::fmt;
use std::str::FromStr as _;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use sqlx::postgres::{
    PgConnectOptions, PgPool, PgPoolOptions, PgQueryResult, PgRow, PgStatement, PgTypeInfo,
};
use sqlx::{Describe, Either, Error, Execute, Executor, Postgres, SqlStr, Transaction};

/// How long a caller waits for a free connection before the database counts as away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// What a URL says when it leads through a pooler, as it does for other clients of Postgres.
const POOLED: &str = "pgbouncer=true";

/// A pool of connections. Statements that belong to no transaction are given to it directly, as to a [`PgPool`].
#[derive(Clone)]
pub(super) struct Pool {
    connections: PgPool,
    /// Whether the pooler may take the connection away wherever no transaction is open. A statement is prepared first
    /// and then executed, which is one step too many: it gets a transaction of its own.
    pooled: bool,
}

/// Where to connect to.
pub(crate) struct Address {
    pub(super) options: PgConnectOptions,
    pub(super) pooled: bool,
}

impl Address {
    /// Of a URL, which has the parameter `pgbouncer=true` where a pooler stands in between.
    pub(crate) fn of(url: &str) -> Result<Self, Error> {
        let (url, pooled) = without_parameter(url, POOLED);
        let mut options = PgConnectOptions::from_str(&url)?;
        if pooled {
            // What is prepared in a transaction is gone after it.
            options = options.statement_cache_capacity(0);
        }
        Ok(Self { options: options.application_name("punctual-scheduler"), pooled })
    }

    /// A pool of up to so many connections, of which one is made now.
    pub(super) async fn connect(&self, connections: u32) -> Result<Pool, Error> {
        let connections = PgPoolOptions::new()
            .max_connections(connections.max(1))
            .min_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // A broken connection shows itself at the first statement, which is then repeated.
            .test_before_acquire(false)
            .connect_with(self.options.clone())
            .await?;
        Ok(Pool { connections, pooled: self.pooled })
    }
}

impl From<PgPool> for Pool {
    fn from(connections: PgPool) -> Self {
        Self { connections, pooled: false }
    }
}

impl Pool {
    /// Begins a transaction.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Postgres>, Error> {
        self.connections.begin().await
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("pooled", &self.pooled).finish_non_exhaustive()
    }
}

/// What a statement gives, in order.
type Step = Either<PgQueryResult, PgRow>;

impl<'p> Executor<'p> for &'_ Pool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        if !self.pooled {
            return self.connections.fetch_many(query);
        }
        let connections = self.connections.clone();
        let all = async move {
            let mut tx = connections.begin().await?;
            let steps: Vec<Step> = tx.fetch_many(query).try_collect().await?;
            tx.commit().await?;
            Ok::<_, Error>(stream::iter(steps.into_iter().map(Ok)))
        };
        stream::once(all).try_flatten().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        if !self.pooled {
            return self.connections.fetch_optional(query);
        }
        let connections = self.connections.clone();
        Box::pin(async move {
            let mut tx = connections.begin().await?;
            let row = tx.fetch_optional(query).await?;
            tx.commit().await?;
            Ok(row)
        })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, Error>>
    where
        'p: 'e,
    {
        self.connections.prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, Error>>
    where
        'p: 'e,
    {
        self.connections.describe(sql)
    }
}

/// `url` without a parameter of its query, and whether it had it.
fn without_parameter(url: &str, parameter: &str) -> (String, bool) {
    let Some((address, query)) = url.split_once('?') else { return (url.to_owned(), false) };
    let others: Vec<_> = query.split('&').filter(|given| *given != parameter).collect();
    let had = others.len() < query.split('&').count();
    let query = if others.is_empty() { String::new() } else { format!("?{}", others.join("&")) };
    (format!("{address}{query}"), had)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_whether_it_leads_through_a_pooler() {
        let check = |url: &str, expect: &str, pooled: bool| {
            assert_eq!(without_parameter(url, POOLED), (expect.to_owned(), pooled));
        };
        check("postgres://h/p", "postgres://h/p", false);
        check("postgres://h/p?host=/tmp", "postgres://h/p?host=/tmp", false);
        check("postgres://h/p?pgbouncer=true", "postgres://h/p", true);
        check("postgres://h/p?host=/tmp&pgbouncer=true&x=1", "postgres://h/p?host=/tmp&x=1", true);
        check("postgres://h/p?pgbouncer=false", "postgres://h/p?pgbouncer=false", false);
    }
}
