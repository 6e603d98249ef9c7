//! The flags of tools that publish.

use clap::Args;

use crate::client_settings::{ClientOption, ClientSettings};
use crate::error::UsageError;

/// How to publish.
#[derive(Debug, Clone, Args)]
pub struct ProducingArgs {
    /// An option of the producer, as name,value with go-nsq's names; may be repeated
    #[arg(long = "producer-opt", value_name = "NAME,VALUE")]
    pub producer_options: Vec<ClientOption>,
}

impl ProducingArgs {
    /// How the client of the tool `name` behaves when it publishes.
    ///
    /// # Errors
    /// An option of the producer is wrong.
    pub fn settings(&self, name: &str) -> Result<ClientSettings, UsageError> {
        let mut settings = ClientSettings::new(name);
        settings.apply(&self.producer_options)?;
        Ok(settings)
    }
}
