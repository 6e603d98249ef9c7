//! Where channels' dead letters go: set so that none comes back to where it was.

use std::collections::BTreeSet;
use std::sync::Arc;

use punctual_queue_wire::name::TopicName;

use super::Topics;
use crate::channel::DeadLetters;
use crate::error::TopicError;
use crate::topic::{ChannelHandle, Topic};

/// Why dead letters do not go there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSet {
    /// They would come back, directly or by way of other topics.
    #[error("the dead letters would come back")]
    Loop,
    #[error(transparent)]
    Failed(#[from] TopicError),
}

impl Topics {
    /// Lets a channel's dead letters go elsewhere from now on, or, with `None`, deliver messages for ever. The topic they
    /// go to is made, so that somebody can look after them.
    pub(crate) async fn set_dead_letters(
        &self,
        topic: &Topic,
        channel: &Arc<ChannelHandle>,
        dead_letters: Option<DeadLetters>,
    ) -> Result<(), NotSet> {
        let _setting = self.setting_dead_letters.lock().await; // two that make a loop together come one after the other
        if let Some(DeadLetters { to, .. }) = &dead_letters {
            if self.reached_by_dead_letters_of(to).contains(&topic.name) {
                return Err(NotSet::Loop);
            }
            self.get_or_create(to).await?;
        }
        Ok(topic.set_dead_letters(channel, dead_letters).await?)
    }

    /// The topic itself, and all that its dead letters may come to.
    fn reached_by_dead_letters_of(&self, topic: &TopicName) -> BTreeSet<TopicName> {
        let mut reached = BTreeSet::new();
        let mut next = vec![topic.clone()];
        while let Some(name) = next.pop() {
            if !reached.insert(name.clone()) {
                continue;
            }
            let channels = self.get(&name).map(|topic| topic.channels()).unwrap_or_default();
            next.extend(channels.iter().filter_map(|channel| {
                channel.look(|channel| channel.dead_letters().map(|dead_letters| dead_letters.to.clone()))
            }));
        }
        reached
    }
}
