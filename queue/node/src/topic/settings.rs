//! What an operator may set for one topic. Kept in its log.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::record::Change;
use super::retention;
use super::{Core, Topic, received};
use crate::error::TopicError;
use crate::message::Sequence;

/// All of it; nothing is set at first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct TopicSettings {
    /// How long messages are kept at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retain_ms: Option<u64>,
    /// How long messages are kept at least, so that channels can go back to them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) keep_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<DepthLimit>,
}

/// How many messages may wait in each channel, and in the topic itself while it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DepthLimit {
    pub(crate) max_depth: u64,
    pub(crate) when_full: WhenFull,
}

/// What becomes of more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WhenFull {
    /// Publishes are refused.
    Refuse,
    /// The oldest messages that wait are dropped.
    DropOldest,
}

impl Topic {
    pub(crate) fn settings(&self) -> TopicSettings {
        self.core.lock().settings
    }

    pub(crate) async fn change_settings(
        &self,
        change: impl FnOnce(&mut TopicSettings),
    ) -> Result<(), TopicError> {
        let receipt = {
            let mut core = self.core.lock();
            change(&mut core.settings);
            self.record(&Change::TopicSettings { settings: core.settings })
        };
        self.keeper.notify_one();
        received(receipt).await
    }

    /// How long messages are kept at most: what is shorter, the node's limit or the topic's.
    pub(super) fn retain(&self) -> Option<Duration> {
        self.settings().retain(self.context.options.retain)
    }
}

impl TopicSettings {
    /// The same on a node that keeps messages for `nodes`.
    pub(super) fn retain(self, nodes: Option<Duration>) -> Option<Duration> {
        nodes.into_iter().chain(self.retain_ms.map(Duration::from_millis)).min()
    }

    /// How far apart messages are whose age is noted.
    pub(super) fn noted_every(self, nodes: Option<Duration>) -> Option<Duration> {
        self.shortest(nodes).map(retention::noted_every)
    }

    /// How often to look for messages that are old enough to go.
    pub(super) fn look_every(self, nodes: Option<Duration>) -> Option<Duration> {
        self.shortest(nodes).map(retention::look_every)
    }

    fn shortest(self, nodes: Option<Duration>) -> Option<Duration> {
        self.retain(nodes).into_iter().chain(self.keep_ms.map(Duration::from_millis)).min()
    }
}

impl Core {
    /// The first message that is kept though everybody may be done with it, as of `now_ns`.
    pub(super) fn kept_from(&self, now_ns: i64) -> Sequence {
        let nothing = Sequence(u64::MAX);
        let Some(keep_ms) = self.settings.keep_ms else { return nothing };
        let keep_ns = i64::try_from(keep_ms).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        let cutoff_ns = now_ns.saturating_sub(keep_ns);
        if self.last_published_ns <= cutoff_ns {
            return nothing;
        }
        self.waypoints.older_than(cutoff_ns).unwrap_or(Sequence::ZERO)
    }

    /// Whether there is no room for `more` messages. What is being written has its place already.
    pub(super) fn refuses(&self, more: u64) -> bool {
        let Some(DepthLimit { max_depth, when_full: WhenFull::Refuse }) = self.settings.limit else {
            return false;
        };
        let depths = self.channels.values().map(|channel| channel.look(|channel| channel.depth()));
        let on_their_way = self.next.0 - self.announced_end.0;
        depths.max().unwrap_or(0) + on_their_way + more > max_depth
    }

    /// Drops the oldest messages of channels that have too many, some thousands at a time; says whether more are to be.
    pub(super) fn drop_oldest(&self) -> bool {
        let mut more = false;
        for handle in self.channels.values() {
            if let Some(max) = self.most_waiting(handle.name.is_ephemeral()) {
                more |= handle.with_for_keeper(|channel, now| channel.drop_oldest(max, now));
            }
        }
        more
    }

    /// How many messages may wait before the oldest go: what is set for the topic, and for what is ephemeral the node's
    /// bound.
    fn most_waiting(&self, is_ephemeral: bool) -> Option<u64> {
        let set = match self.settings.limit {
            Some(DepthLimit { max_depth, when_full: WhenFull::DropOldest }) => Some(max_depth),
            Some(DepthLimit { when_full: WhenFull::Refuse, .. }) | None => None,
        };
        let of_ephemeral = is_ephemeral.then_some(self.most_ephemeral);
        set.into_iter().chain(of_ephemeral).min()
    }

    /// Messages that wait in the topic itself beyond its limit, which are to be dropped.
    pub(super) fn excess(&self) -> u64 {
        self.most_waiting(self.is_ephemeral).map_or(0, |max| self.waits().saturating_sub(max))
    }
}
