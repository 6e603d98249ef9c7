use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use punctual_postgres::{Options, Source};
use punctual_scheduler::options::DatabaseUrl;
use tokio_util::sync::CancellationToken;

/// The database of the embedded Postgres.
const NAME: &str = "punctual";
/// How often the embedded Postgres is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The Postgres that everything is kept in: one of our own, or one that is there already.
#[derive(Debug)]
pub(super) struct Database {
    source: Source,
    url: String,
}

impl Database {
    /// Starts one in `dir`, unless `given` names another, and brings its schema to this release.
    pub(super) async fn open(dir: &Path, given: Option<&DatabaseUrl>) -> anyhow::Result<Self> {
        let (given, options) = (given.map(|url| url.reveal().to_owned()), Options::new(dir));
        // Making a cluster takes seconds, and all of this crate blocks.
        let source = tokio::task::spawn_blocking(move || {
            let source = Source::obtain(given, options)?;
            if let Source::Embedded(postgres) = &source {
                postgres.create_database(NAME)?;
            }
            anyhow::Ok(source)
        });
        let source = source.await.context("starting Postgres failed")??;
        let url = source.url(NAME);
        punctual_scheduler::migrate(&url).await?;
        Ok(Self { source, url })
    }

    /// Where it is, secrets included.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// What to type into a shell to look into it.
    pub(super) fn psql(&self) -> String {
        match &self.source {
            Source::Embedded(postgres) => postgres.psql_command(NAME),
            Source::Url(_) => "psql \"$DATABASE_URL\"".to_owned(),
        }
    }

    /// Watches it until `shutdown`, then stops it, if it is our own.
    ///
    /// # Errors
    /// When it ends by itself, or does not stop.
    pub(super) async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let postgres = match self.source {
            Source::Embedded(postgres) => postgres,
            Source::Url(_) => {
                shutdown.cancelled().await;
                return Ok(());
            }
        };
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            if let Some(status) = postgres.exit_status() {
                bail!("Postgres ended by itself ({status}); its log is {}", postgres.log().display());
            }
        }
        Ok(tokio::task::spawn_blocking(|| postgres.stop()).await.context("stopping Postgres failed")??)
    }
}
