//! The time between a topic's making and its handing out of messages, in which the lookups are asked which channels it
//! has elsewhere. What is published meanwhile waits in the topic, and every channel made meanwhile gets all of it.

use std::sync::Arc;

use super::record::Change;
use super::{Topic, received};
use crate::error::TopicError;
use crate::lookup::channels_elsewhere;

impl Topic {
    /// Hands out nothing until [`open_up`](Self::open_up), also after a restart. For a topic that nobody knows yet: the
    /// record stands before any message, and so needs no waiting for.
    pub(crate) fn hold(&self) {
        let mut core = self.core.lock();
        core.held = true;
        drop(self.record(&Change::TopicHeld { held: true }));
    }

    pub(crate) fn is_held(&self) -> bool {
        self.core.lock().held
    }

    /// Makes the channels that the lookups know of, and lets messages go to the channels. Takes seconds at most; to be
    /// called again if it was dropped before it ended.
    pub(crate) async fn open_up(self: Arc<Self>) {
        let channels = channels_elsewhere(&self.context, &self.name).await;
        for channel in channels {
            match self.channel_or_create(&channel).await {
                Ok(_) => {}
                Err(TopicError::Deleted) => return,
                Err(e) => {
                    let (topic, error) = (&self.name, crate::health::reason(&e));
                    tracing::warn!(%topic, %channel, error, "could not make a channel that lookups know of");
                }
            }
        }
        let receipt = {
            let mut core = self.core.lock();
            core.held = false;
            self.record(&Change::TopicHeld { held: false })
        };
        self.keeper.notify_one();
        // Should the disk refuse it, the next start asks once more.
        let _kept = received(receipt).await;
    }
}
