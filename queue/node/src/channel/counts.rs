//! What a channel has done since the process started.

use super::Nearness;

/// Counters of one channel. Messages that leave it without being finished are counted by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Messages that became the channel's to deliver.
    pub(crate) published: u64,
    pub(crate) finished: u64,
    /// Deliveries, not messages, by [`Nearness`].
    pub(crate) delivered: [u64; Nearness::COUNT],
    /// REQs, not messages.
    pub(crate) requeued: u64,
    pub(crate) timed_out: u64,
    /// Dropped by an operator.
    pub(crate) emptied: u64,
    /// Dropped because the consumer whose turn it was wanted a sample only.
    pub(crate) sampled_out: u64,
    /// Dropped because they were kept as long as messages are.
    pub(crate) expired: u64,
    /// Dropped because too many waited.
    pub(crate) overflowed: u64,
    /// Went to the dead letters' topic.
    pub(crate) dead_lettered: u64,
    /// Could not be read from the disk.
    pub(crate) corrupt: u64,
}
