//! Publishers that keep a node busy.

use std::sync::Arc;

use punctual_queue_client::address::NodeAddress;
use punctual_queue_client::connection::ConnectionOptions;
use punctual_queue_client::producer::{Producer, ProducerOptions, PublishOutcome};
use tokio::sync::watch;

use super::History;

/// Every fifth publish is one of so many messages.
const BATCH: u64 = 20;

/// Why a publisher ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublisherEnd {
    /// Its connection was cut.
    Cut,
    /// The node refused a publish: its code, and its text.
    Refused(String, String),
    /// It was told to end.
    Told,
}

/// Publishes, one after the other, alone and in batches, while `goes_on` says so.
///
/// # Errors
/// When the node cannot be reached at first.
pub(super) async fn publish(
    address: String,
    history: Arc<History>,
    connection: ConnectionOptions,
    goes_on: watch::Receiver<bool>,
) -> anyhow::Result<PublisherEnd> {
    let options = ProducerOptions { connection, ..ProducerOptions::default() };
    let producer = Producer::connect(&NodeAddress::new(address), options).await?;
    let mut turn = 0_u64;
    while *goes_on.borrow() {
        turn += 1;
        let publish = history.publishing(if turn.is_multiple_of(5) { BATCH } else { 1 });
        match producer.publish(history.topic(), publish.bodies()).await {
            PublishOutcome::Acknowledged => history.acknowledged(&publish),
            // After a failed sync the messages may be there all the same: what that means is for the test to say.
            PublishOutcome::Refused { code, text } => return Ok(PublisherEnd::Refused(code, text)),
            // Whether they are there is not known, and nobody may complain.
            PublishOutcome::NotSent(_) | PublishOutcome::Unknown(_) => return Ok(PublisherEnd::Cut),
        }
    }
    Ok(PublisherEnd::Told)
}
