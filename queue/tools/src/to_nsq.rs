//! `to_nsq`.

use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::error::ToolError;

/// The flags of `to_nsq`.
#[derive(Debug, Clone, Args)]
pub struct ToNsq {
    /// The topic
    #[arg(long, default_value = "")]
    topic: String,
}

impl ToNsq {
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
