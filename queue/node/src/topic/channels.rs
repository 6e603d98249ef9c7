//! A topic's channels: made, found, changed and deleted.

use std::sync::Arc;

use punctual_queue_wire::name::ChannelName;

use super::record::{Change, ChannelNumber};
use super::{ChannelHandle, Core, Receipt, Topic, received_if_any};
use crate::channel::{Channel, DeadLetters, Origin, Progress};
use crate::error::TopicError;
use crate::latency::LatencyMeter;
use crate::message::Sequence;

impl Topic {
    pub(crate) fn channel(&self, name: &ChannelName) -> Option<Arc<ChannelHandle>> {
        self.core.lock().channels.get(name).cloned()
    }

    pub(crate) fn channels(&self) -> Vec<Arc<ChannelHandle>> {
        self.core.lock().channels.values().cloned().collect()
    }

    /// The channel of this name, made where there is none. The first one begins with everything that waits in the
    /// topic, later ones with what is published from now on.
    pub(crate) async fn channel_or_create(
        &self,
        name: &ChannelName,
    ) -> Result<Arc<ChannelHandle>, TopicError> {
        let (handle, receipt) = {
            let mut core = self.core.lock();
            if core.deleted {
                return Err(TopicError::Deleted);
            }
            if let Some(handle) = core.channels.get(name) {
                return Ok(Arc::clone(handle));
            }
            self.create_channel(&mut core, name)
        };
        self.keeper.notify_one();
        if let Err(e) = received_if_any(receipt).await {
            self.forget_channel(name, &handle);
            return Err(e);
        }
        self.context.topology_changed();
        Ok(handle)
    }

    fn create_channel(&self, core: &mut Core, name: &ChannelName) -> (Arc<ChannelHandle>, Option<Receipt>) {
        let number = core.next_channel;
        core.next_channel = ChannelNumber(number.0 + 1);
        let start =
            if core.channels.is_empty() || core.keeps_back() { core.announced_end } else { core.next };
        if !core.keeps_back() && core.channels.is_empty() {
            core.announced_end = core.committed_end;
        }
        let origin = Origin {
            progress: Progress::starting_at(start),
            attempts: Default::default(),
            put_off: Default::default(),
            paused: false,
            dead_letters: None,
            end: core.announced_end,
            load_from: core.waypoints.before(start),
            max_message_timeout: self.context.options.max_msg_timeout,
        };
        let (mut channel, latency) = (Channel::new(origin), LatencyMeter::of(&self.context));
        channel.count_backlog();
        let keeper = Arc::clone(&self.keeper);
        let handle = Arc::new(ChannelHandle::new(name.clone(), number, channel, latency, keeper));
        core.channels.insert(name.clone(), Arc::clone(&handle));
        let created = Change::ChannelCreated { channel: number, name: name.clone(), start: start.0 };
        let receipt = self.record_of(&handle, &created);
        (handle, receipt)
    }

    /// Undoes the making of a channel that the disk refused.
    fn forget_channel(&self, name: &ChannelName, handle: &Arc<ChannelHandle>) {
        let mut core = self.core.lock();
        if core.channels.get(name).is_some_and(|channel| Arc::ptr_eq(channel, handle)) {
            core.remove_channel(name);
        }
        handle.delete();
    }

    /// Deletes a channel and ends its consumers' connections; `false` when there is none.
    pub(crate) async fn delete_channel(&self, name: &ChannelName) -> Result<bool, TopicError> {
        let (handle, receipt) = {
            let mut core = self.core.lock();
            let Some(handle) = core.remove_channel(name) else {
                return Ok(false);
            };
            let deleted = Change::ChannelDeleted { channel: handle.number };
            let receipt = self.record_of(&handle, &deleted);
            (handle, receipt)
        };
        handle.delete();
        self.keeper.notify_one(); // what it alone wanted may go
        self.context.topology_changed();
        received_if_any(receipt).await?;
        Ok(true)
    }

    /// Deletes an ephemeral channel that nobody consumes any more.
    pub(crate) async fn delete_abandoned_channel(&self, handle: &Arc<ChannelHandle>) {
        let abandoned = {
            let mut core = self.core.lock();
            let is_current =
                core.channels.get(&handle.name).is_some_and(|channel| Arc::ptr_eq(channel, handle));
            let abandoned = is_current && handle.look(|channel| channel.consumers().len() == 0);
            if abandoned {
                core.remove_channel(&handle.name);
                handle.delete();
            }
            abandoned
        };
        if abandoned {
            self.context.topology_changed();
        }
    }

    pub(crate) async fn set_channel_paused(
        &self,
        handle: &ChannelHandle,
        paused: bool,
    ) -> Result<(), TopicError> {
        let receipt = {
            let _order = self.core.lock();
            handle.with(|channel, _| channel.set_paused(paused));
            self.record_of(handle, &Change::ChannelPaused { channel: handle.number, paused })
        };
        received_if_any(receipt).await
    }

    pub(crate) async fn set_dead_letters(
        &self,
        handle: &ChannelHandle,
        dead_letters: Option<DeadLetters>,
    ) -> Result<(), TopicError> {
        let receipt = {
            let _order = self.core.lock();
            handle.with(|channel, _| channel.set_dead_letters(dead_letters.clone()));
            self.record_of(handle, &Change::ChannelDeadLetters { channel: handle.number, dead_letters })
        };
        received_if_any(receipt).await
    }

    pub(crate) async fn empty_channel(&self, handle: &ChannelHandle) -> Result<(), TopicError> {
        self.distribute();
        let receipt = {
            let _order = self.core.lock();
            let end = handle.with(|channel, _| channel.empty());
            self.record_of(handle, &Change::ChannelEmptied { channel: handle.number, end: end.0 })
        };
        self.keeper.notify_one();
        received_if_any(receipt).await
    }

    /// Writes a change of a channel to the log, which knows nothing of those that end with the process.
    pub(super) fn record_of(&self, handle: &ChannelHandle, change: &Change) -> Option<Receipt> {
        (!handle.name.is_ephemeral()).then(|| self.record(change))
    }
}

impl Core {
    /// With the last channel go the messages it had; what comes then waits in the topic.
    fn remove_channel(&mut self, name: &ChannelName) -> Option<Arc<ChannelHandle>> {
        let handle = self.channels.remove(name)?;
        if self.channels.is_empty() && !self.keeps_back() {
            self.announced_end = self.committed_end;
        }
        Some(handle)
    }

    /// The first message that anyone may still want, as of `now_ns`.
    pub(super) fn floor(&self, now_ns: i64) -> Sequence {
        let floors = self.channels.values().map(|channel| channel.look(|channel| channel.progress().floor()));
        floors.chain([self.announced_end, self.kept_from(now_ns)]).min().unwrap_or(self.announced_end)
    }
}
