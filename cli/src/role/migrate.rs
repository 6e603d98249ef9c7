use clap::Args;
use punctual_scheduler::options::DatabaseUrl;
use punctual_service::log::{self, LogArgs};

use crate::failure::Failure;

/// `punctual migrate`.
#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    /// Postgres to migrate: postgres://USER:PASSWORD@HOST/DATABASE
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    #[arg(required_unless_present = "database_direct_url")]
    database_url: Option<DatabaseUrl>,

    /// The same Postgres without the pooler in between, where there is one
    #[arg(long, env = "DATABASE_DIRECT_URL", value_name = "URL", hide_env_values = true)]
    database_direct_url: Option<DatabaseUrl>,

    #[command(flatten)]
    log: LogArgs,
}

impl MigrateArgs {
    /// Brings the schema to this release. Changes nothing when it is there already.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        log::init(&self.log);
        let Some(url) = self.database_direct_url.or(self.database_url) else {
            return Err(Failure::Usage("no database is named: give --database-url".to_owned()));
        };
        punctual_scheduler::migrate(url.reveal()).await.map_err(anyhow::Error::from)?;
        tracing::info!(database = %url, "the schema is that of this release");
        Ok(())
    }
}
