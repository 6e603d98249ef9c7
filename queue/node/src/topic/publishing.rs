//! Publishing to a topic.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use punctual_queue_log::error::AppendError;
use punctual_queue_log::log::Durability;
use punctual_queue_log::position::Position;
use punctual_queue_log::record::Record;
use punctual_queue_wire::bodies::Bodies;
use tokio::sync::oneshot;

use super::record::{self, DeadLetterOrigin};
use super::{Receipt, Topic};
use crate::error::TopicError;
use crate::message::{Batch, Sequence};

impl Topic {
    /// Publishes messages, all or none. The receipt says `Ok` once they are on the disk.
    /// They are delivered once `delay` is over.
    pub(crate) fn publish(self: &Arc<Self>, bodies: Bodies, delay: Duration) -> Receipt {
        self.append(bodies, delay, |first, timestamp_ns, bodies| {
            record::messages(first, timestamp_ns, delay, bodies)
        })
    }

    /// Publishes a message that comes from another topic.
    pub(super) fn publish_dead_letter(self: &Arc<Self>, body: Bytes, origin: &DeadLetterOrigin) -> Receipt {
        self.append(Bodies::from_iter([body]), Duration::ZERO, |sequence, timestamp_ns, body| {
            record::dead_letter(sequence, timestamp_ns, body, origin)
        })
    }

    fn append(
        self: &Arc<Self>,
        bodies: Bodies,
        delay: Duration,
        record: impl FnOnce(Sequence, i64, &Bodies) -> Record,
    ) -> Receipt {
        let (done, receipt) = oneshot::channel();
        let timestamp_ns = self.context.unix_ns();
        let due = (!delay.is_zero()).then(|| Instant::now() + delay);
        let mut core = self.core.lock();
        if core.deleted {
            let _ = done.send(Err(TopicError::Deleted)); // the receipt is right here
            return receipt;
        }
        if core.refuses(bodies.len() as u64) {
            let _ = done.send(Err(TopicError::TopicFull));
            return receipt;
        }
        let first = core.next;
        core.next = first.plus(bodies.len() as u64);
        let record = record(first, timestamp_ns, &bodies);
        let topic = Arc::clone(self);
        let complete = move |result: Result<Position, AppendError>| {
            topic.context.health.wrote(&result);
            let answer = result.map_err(TopicError::from).map(|position| {
                topic.committed.lock().push(Batch { position, first, timestamp_ns, due, bodies });
            });
            let _ = done.send(answer); // a publisher that is gone does not want to know
            topic.keeper.notify_one(); // after it, for the publisher waits
        };
        self.log.append(record, Durability::Synced, Box::new(complete));
        receipt
    }
}
