//! Publishing a channel's dead letters to the topic they go to.

use std::sync::{Arc, Weak};

use punctual_queue_wire::name::{ChannelName, TopicName};
use tokio::task::JoinSet;

use super::record::DeadLetterOrigin;
use super::{ChannelHandle, received};
use crate::channel::DeadLetter;
use crate::error::TopicError;
use crate::health::reason;
use crate::message::Sequence;
use crate::topics::Topics;

/// What a topic's keeper has under way of it.
pub(super) struct Burials {
    topics: Weak<Topics>,
    from: TopicName,
    under_way: JoinSet<Vec<Buried>>,
}

/// What became of one letter.
pub(super) struct Buried {
    handle: Arc<ChannelHandle>,
    sequence: Sequence,
    result: Result<(), TopicError>,
}

impl Burials {
    pub(super) fn new(topics: Weak<Topics>, from: TopicName) -> Self {
        Self { topics, from, under_way: JoinSet::new() }
    }

    pub(super) fn begin(&mut self, handle: &Arc<ChannelHandle>, letters: Vec<DeadLetter>) {
        if letters.is_empty() {
            return;
        }
        let (topics, from, handle) = (self.topics.clone(), self.from.clone(), Arc::clone(handle));
        self.under_way.spawn(async move {
            let mut all = Vec::new();
            for letter in letters {
                let sequence = letter.message.sequence;
                let result = bury(&topics, &from, &handle.name, letter).await;
                all.push(Buried { handle: Arc::clone(&handle), sequence, result });
            }
            all
        });
    }

    /// Waits for some to end; `None` while nothing is under way. May be dropped and called again.
    pub(super) async fn next(&mut self) -> Option<Vec<Buried>> {
        loop {
            match self.under_way.join_next().await? {
                Ok(buried) => return Some(buried),
                // The messages stay where they are, and are tried again after a restart.
                Err(error) => tracing::error!(topic = %self.from, %error, "publishing dead letters panicked"),
            }
        }
    }
}

impl Buried {
    /// The channel is done with the message, or tries again.
    pub(super) fn tell(self, topic: &TopicName) {
        let Self { handle, sequence, result } = self;
        let (channel, message) = (&handle.name, sequence.id());
        match result {
            Ok(()) => {
                tracing::info!(%topic, %channel, message.id = %message, "a message went to the dead letters");
                handle.with(|channel, now| channel.buried(sequence, now));
            }
            Err(e) => {
                let error = reason(&e);
                tracing::warn!(
                    %topic, %channel, message.id = %message, error,
                    "could not publish a dead letter; trying again",
                );
                handle.with(|channel, now| channel.not_buried(sequence, now));
            }
        }
    }
}

/// Returns once the message is on the disk where it goes to.
async fn bury(
    topics: &Weak<Topics>,
    from: &TopicName,
    channel: &ChannelName,
    letter: DeadLetter,
) -> Result<(), TopicError> {
    let topics = topics.upgrade().ok_or(TopicError::Exiting)?;
    let topic = topics.get_or_create(&letter.to).await?;
    let origin = DeadLetterOrigin {
        topic: from.clone(),
        channel: channel.clone(),
        id: letter.message.sequence.id().to_string(),
        timestamp: letter.message.timestamp_ns,
        attempts: letter.attempts,
    };
    received(topic.publish_dead_letter(letter.message.body, &origin)).await
}
