//! Where a Postgres comes from.

use crate::{Options, Postgres, PostgresError};

/// Where a Postgres comes from.
#[derive(Debug)]
pub enum Source {
    /// One that is there already and that we neither start nor stop: its URL.
    Url(String),
    /// One of our own. It stops when this is dropped.
    Embedded(Postgres),
}

impl Source {
    /// The Postgres at `database_url` when that is given, else one of our own.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub fn obtain(database_url: Option<String>, options: Options) -> Result<Self, PostgresError> {
        match database_url {
            Some(url) => Ok(Self::Url(url)),
            None => Postgres::start(options).map(Self::Embedded),
        }
    }

    /// The URL of `database`. A Postgres that is not ours has only the database of its own URL.
    pub fn url(&self, database: &str) -> String {
        match self {
            Self::Url(url) => url.clone(),
            Self::Embedded(postgres) => postgres.url(database),
        }
    }
}
