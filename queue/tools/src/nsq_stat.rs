//! `nsq_stat`.

use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::error::ToolError;

/// The flags of `nsq_stat`.
#[derive(Debug, Clone, Args)]
pub struct NsqStat {
    /// The topic
    #[arg(long, default_value = "")]
    topic: String,
}

impl NsqStat {
    /// Works until `stop`.
    ///
    /// # Errors
    /// The flags do not say what to do.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ToolError> {
        stop.cancelled().await;
        drop(self.topic);
        Ok(())
    }
}
