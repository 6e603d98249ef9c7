//! Sending a channel back in time. The keeper does it, between what it reads for channels and what it writes of them:
//! what was finished before is then written before, and nothing arrives that was read before.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::record::Change;
use super::{ChannelHandle, Receipt, Topic, received_if_any};
use crate::error::TopicError;

/// Somebody wants a channel to go back.
#[derive(Debug)]
pub(super) struct Seek {
    handle: Arc<ChannelHandle>,
    /// Nanoseconds since the Unix epoch.
    to_ns: i64,
    done: oneshot::Sender<Option<Receipt>>,
}

impl Topic {
    /// Lets the channel deliver again what was published at `to_ns` or later and is still there, and perhaps some of
    /// what was published just before.
    pub(crate) async fn seek(&self, handle: &Arc<ChannelHandle>, to_ns: i64) -> Result<(), TopicError> {
        self.distribute();
        let (done, sought) = oneshot::channel();
        {
            let mut core = self.core.lock();
            if core.deleted {
                return Err(TopicError::Deleted);
            }
            core.seeks.push(Seek { handle: Arc::clone(handle), to_ns, done });
        }
        self.keeper.notify_one();
        match sought.await {
            Ok(receipt) => received_if_any(receipt).await,
            Err(_) => Err(TopicError::Exiting), // the keeper ended before it came to this
        }
    }

    pub(super) fn wants_seek(&self) -> bool {
        !self.core.lock().seeks.is_empty()
    }

    /// Nothing may be under way that is read for a channel.
    pub(super) fn carry_out_seeks(&self) {
        let mut core = self.core.lock();
        for Seek { handle, to_ns, done } in std::mem::take(&mut core.seeks) {
            let is_younger = core.last_published_ns > to_ns;
            // Without one, the log holds no message.
            let first = core.waypoints.iter().next().map_or(core.committed_end, |(first, _)| first);
            let to = match core.waypoints.older_than(to_ns) {
                _ if !is_younger => core.committed_end,
                Some(before) => before,
                None => first,
            };
            handle.with_for_keeper(|channel, _| channel.seek(to, |number| core.waypoints.before(number)));
            let sought = Change::ChannelSought { channel: handle.number, to: to.0 };
            let _gone = done.send(self.record_of(&handle, &sought)); // whoever gave up does not want to know
        }
    }
}
