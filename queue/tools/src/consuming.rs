//! The flags of tools that consume.

use clap::Args;
use punctual_queue_client::{
    address::NodeAddress,
    consumer::{Consumer, ConsumerOptions},
};
use punctual_queue_wire::name::{ChannelName, TopicName};

use crate::client_settings::{ClientOption, ClientSettings};
use crate::error::{ToolError, UsageError};

/// Where to consume from, and how.
#[derive(Debug, Clone, Args)]
pub struct ConsumingArgs {
    /// The HTTP address of a lookup; may be repeated
    #[arg(long = "lookupd-http-address", value_name = "HOST:PORT")]
    pub lookupd_http_addresses: Vec<String>,

    /// The TCP address of a node; may be repeated
    #[arg(long = "nsqd-tcp-address", value_name = "HOST:PORT")]
    pub nsqd_tcp_addresses: Vec<String>,

    /// An option of the consumer, as name,value with go-nsq's names; may be repeated
    #[arg(long = "consumer-opt", value_name = "NAME,VALUE")]
    pub consumer_options: Vec<ClientOption>,

    /// The most messages that may be in flight
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_in_flight: u32,
}

impl ConsumingArgs {
    /// Says what is wrong with where to consume from.
    ///
    /// # Errors
    /// Neither lookups nor nodes, or both.
    pub fn check(&self) -> Result<(), UsageError> {
        match (self.lookupd_http_addresses.is_empty(), self.nsqd_tcp_addresses.is_empty()) {
            (true, true) => Err(UsageError::NoSource),
            (false, false) => Err(UsageError::TwoSources),
            _ => Ok(()),
        }
    }

    /// How the client of the tool `name` behaves.
    ///
    /// # Errors
    /// An option of the consumer is wrong.
    pub fn settings(&self, name: &str) -> Result<ClientSettings, UsageError> {
        let mut settings = ClientSettings::new(name);
        settings.apply(&self.consumer_options)?;
        Ok(settings)
    }

    /// Options for consuming this channel; [`start`](Self::start) takes them, changed or not.
    pub fn options(
        &self,
        settings: &ClientSettings,
        topic: TopicName,
        channel: ChannelName,
    ) -> ConsumerOptions {
        let nodes = self.nsqd_tcp_addresses.iter().map(NodeAddress::new).collect();
        ConsumerOptions {
            lookups: self.lookupd_http_addresses.clone(),
            // What may be in flight must fit, or nothing more is read.
            buffered_messages: self.max_in_flight as usize,
            ..settings.consumer(topic, channel, nodes)
        }
    }

    /// Starts to consume as much as may be in flight. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// The address of a lookup cannot be used.
    pub fn start(&self, options: ConsumerOptions) -> Result<Consumer, ToolError> {
        let consumer = Consumer::start(options)?;
        consumer.set_max_in_flight(self.max_in_flight);
        Ok(consumer)
    }
}

/// A topic's name from the command line.
///
/// # Errors
/// It is none.
pub fn topic_name(name: &str) -> Result<TopicName, UsageError> {
    name.parse().map_err(|source| UsageError::BadName { what: "topic", name: name.to_owned(), source })
}

/// A channel's name from the command line.
///
/// # Errors
/// It is none.
pub fn channel_name(name: &str) -> Result<ChannelName, UsageError> {
    name.parse().map_err(|source| UsageError::BadName { what: "channel", name: name.to_owned(), source })
}
