//! A channel with its consumers' mailboxes, shared by the connections and the topic's keeper.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use punctual_queue_wire::name::ChannelName;
use tokio::sync::Notify;

use super::mailbox::Mailbox;
use super::record::ChannelNumber;
use crate::channel::{Channel, ConnectionId, Consumer, DeadLetter};
use crate::latency::{Latencies, LatencyMeter};

/// One channel. The lock is held for computing only, never for I/O.
#[derive(Debug)]
pub(crate) struct ChannelHandle {
    pub(crate) name: ChannelName,
    pub(crate) number: ChannelNumber,
    live: Mutex<Live>,
    /// Wakes the topic's keeper.
    keeper: Arc<Notify>,
}

#[derive(Debug)]
struct Live {
    channel: Channel,
    mailboxes: HashMap<ConnectionId, Arc<Mailbox>, RandomState>,
    /// `None` while nobody wants to know.
    latency: Option<LatencyMeter>,
    deleted: bool,
}

/// Why a connection was not added to a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotAdded {
    /// The channel was deleted meanwhile.
    Deleted,
    /// It has as many consumers as it may.
    Full,
}

impl ChannelHandle {
    pub(super) fn new(
        name: ChannelName,
        number: ChannelNumber,
        mut channel: Channel,
        latency: Option<LatencyMeter>,
        keeper: Arc<Notify>,
    ) -> Self {
        if latency.is_some() {
            channel.watch_finished();
        }
        let live = Live { channel, mailboxes: HashMap::default(), latency, deleted: false };
        Self { name, number, live: Mutex::new(live), keeper }
    }

    /// Works on the channel; then what can be delivered is, and the keeper is woken if it has something to do.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut Channel, Instant) -> R) -> R {
        let mut live = self.live.lock();
        let result = self.work(&mut live, work);
        if live.channel.needs_keeper(Instant::now()) {
            self.keeper.notify_one();
        }
        result
    }

    /// The same for the keeper itself.
    pub(super) fn with_for_keeper<R>(&self, work: impl FnOnce(&mut Channel, Instant) -> R) -> R {
        self.work(&mut self.live.lock(), work)
    }

    /// What dies, also of what was to be delivered just now.
    pub(super) fn take_dead(&self) -> Vec<DeadLetter> {
        self.live.lock().channel.take_dead()
    }

    /// When the keeper must look at the channel again, unless it is woken before.
    pub(super) fn plan(&self) -> Option<Instant> {
        self.live.lock().channel.plan()
    }

    fn work<R>(&self, live: &mut Live, work: impl FnOnce(&mut Channel, Instant) -> R) -> R {
        let now = Instant::now();
        let result = work(&mut live.channel, now);
        if let Some(latency) = &mut live.latency {
            latency.finished(&live.channel.take_finished(), now);
        }
        let mut deliveries = Vec::new();
        live.channel.deliver(now, &mut deliveries);
        for delivery in deliveries {
            if let Some(mailbox) = live.mailboxes.get(&delivery.consumer) {
                mailbox.put(delivery);
            }
        }
        result
    }

    /// Looks at the channel without giving it anything to do.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&Channel) -> R) -> R {
        look(&self.live.lock().channel)
    }

    /// How long messages took that were finished lately; `None` if that is not measured.
    pub(crate) fn latencies(&self) -> Option<Latencies> {
        self.live.lock().latency.as_mut().map(|latency| latency.latencies(Instant::now()))
    }

    /// Adds a consumer. `limit` is how many there may be; 0 for any number.
    pub(crate) fn subscribe(
        &self,
        id: ConnectionId,
        consumer: Consumer,
        mailbox: Arc<Mailbox>,
        limit: usize,
    ) -> Result<(), NotAdded> {
        let mut live = self.live.lock();
        if live.deleted {
            return Err(NotAdded::Deleted);
        }
        if limit > 0 && live.channel.consumers().len() >= limit {
            return Err(NotAdded::Full);
        }
        live.mailboxes.insert(id, mailbox);
        live.channel.subscribe(id, consumer);
        Ok(())
    }

    /// Removes a consumer; says how many are left.
    pub(crate) fn unsubscribe(&self, id: ConnectionId, hold: bool) -> usize {
        self.live.lock().mailboxes.remove(&id);
        self.with(|channel, _| {
            channel.unsubscribe(id, hold);
            channel.consumers().len()
        })
    }

    /// Ends the connections of all consumers; nobody can be added any more.
    pub(super) fn delete(&self) {
        let mut live = self.live.lock();
        live.deleted = true;
        for mailbox in live.mailboxes.values() {
            mailbox.close();
        }
    }
}
