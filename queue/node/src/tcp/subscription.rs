//! A connection's place at a channel.

use std::sync::Arc;

use punctual_queue_wire::error::SubscribeRefusal;
use punctual_queue_wire::name::{ChannelName, TopicName};

use super::Shared;
use crate::channel::{ConnectionId, Consumer};
use crate::error::TopicError;
use crate::topic::{ChannelHandle, Mailbox, NotAdded, Topic};

/// How often to try when what is subscribed to is deleted at the same time.
const TRIES: usize = 3;

/// The channel a connection consumes from. To be ended with [`leave`](Self::leave).
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) topic: Arc<Topic>,
    pub(super) channel: Arc<ChannelHandle>,
    id: ConnectionId,
}

/// Why there is none.
pub(super) enum NotSubscribed {
    Refused(SubscribeRefusal),
    Failed(TopicError),
}

impl Subscription {
    /// Joins the channel; topic and channel are made where there are none.
    pub(super) async fn join(
        shared: &Shared,
        id: ConnectionId,
        (topic, channel): (&TopicName, &ChannelName),
        consumer: Consumer,
        mailbox: &Arc<Mailbox>,
    ) -> Result<Self, NotSubscribed> {
        let limit = shared.context.options.max_channel_consumers;
        for _ in 0..TRIES {
            let found = match shared.topics.get_or_create(topic).await {
                Ok(found) => found,
                Err(e) => return Err(NotSubscribed::from(e)),
            };
            let handle = match found.channel_or_create(channel).await {
                Ok(handle) => handle,
                Err(TopicError::Deleted) => continue,
                Err(e) => return Err(NotSubscribed::from(e)),
            };
            match handle.subscribe(id, consumer.clone(), Arc::clone(mailbox), limit) {
                Ok(()) => return Ok(Self { topic: found, channel: handle, id }),
                Err(NotAdded::Deleted) => {}
                Err(NotAdded::Full) => {
                    let (topic, channel) = (topic.clone(), channel.clone());
                    let refusal = SubscribeRefusal::TooManyConsumers { topic, channel, limit };
                    return Err(NotSubscribed::Refused(refusal));
                }
            }
        }
        Err(NotSubscribed::Refused(SubscribeRefusal::Deleted))
    }

    /// Leaves the channel; what was in flight here is delivered to others.
    pub(super) async fn leave(self, shared: &Shared) {
        self.channel.unsubscribe(self.id, shared.context.options.hold_on_disconnect);
        if let Err(e) = shared.topics.left(&self.topic, &self.channel).await {
            tracing::warn!(topic = %self.topic.name, error = %e, "could not clear an ephemeral topic");
        }
    }
}

impl From<TopicError> for NotSubscribed {
    fn from(error: TopicError) -> Self {
        match error {
            TopicError::Exiting => Self::Refused(SubscribeRefusal::Exiting),
            TopicError::Deleted => Self::Refused(SubscribeRefusal::Deleted),
            other => Self::Failed(other),
        }
    }
}
