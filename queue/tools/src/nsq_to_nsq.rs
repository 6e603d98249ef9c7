//! `nsq_to_nsq`.

use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::consuming::ConsumingArgs;
use crate::error::ToolError;

/// The flags of `nsq_to_nsq`.
#[derive(Debug, Clone, Args)]
pub struct NsqToNsq {
    #[command(flatten)]
    consuming: ConsumingArgs,
}

impl NsqToNsq {
    /// Works until `stop`.
    ///
    /// # Errors
    /// The flags do not say what to do.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ToolError> {
        self.consuming.check()?;
        stop.cancelled().await;
        Ok(())
    }
}
