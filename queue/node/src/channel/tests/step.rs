//! What happens to a channel, and where that leaves its messages.

use proptest::prelude::*;

use super::*;

/// Where a message is, as far as the outside can tell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum State {
    Waiting,
    InFlight(ConnectionId),
    Deferred,
    Finished,
    Emptied,
    Expired,
    /// Too many waited.
    Overflowed,
    /// Went to the dead letters.
    Buried,
}

impl State {
    pub(super) fn is_done(self) -> bool {
        matches!(self, Self::Finished | Self::Emptied | Self::Expired | Self::Overflowed | Self::Buried)
    }
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Publish(u8),
    Subscribe(u64, u32),
    Unsubscribe(u64),
    Ready(u64, u32),
    /// The index picks one of the messages in flight.
    Finish(prop::sample::Index),
    Requeue(prop::sample::Index, u64),
    Touch(prop::sample::Index),
    FinishOfAnother(prop::sample::Index),
    Pause(bool),
    /// Messages die that were delivered so often; 0 for none.
    DeadLetters(u16),
    /// All but so many messages are to be delivered again.
    Seek(u64),
    /// No more than so many may wait.
    Limit(u64),
    /// Whether the other topic takes what is dying.
    Bury(bool),
    Empty,
    /// Everything but so many goes that is not in flight.
    Expire(u64),
    Advance(u64),
    Load,
    /// So much comes into memory that older bodies are forgotten.
    Forget,
    Restart,
}

pub(super) fn a_step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        4 => (1..5_u8).prop_map(Step::Publish),
        2 => (0..3_u64, 0..4_u32).prop_map(|(id, ready)| Step::Subscribe(id, ready)),
        1 => (0..3_u64).prop_map(Step::Unsubscribe),
        3 => (0..3_u64, 0..6_u32).prop_map(|(id, ready)| Step::Ready(id, ready)),
        6 => index().prop_map(Step::Finish),
        3 => (index(), prop_oneof![Just(0), 1..20_u64]).prop_map(|(i, delay)| Step::Requeue(i, delay)),
        2 => index().prop_map(Step::Touch),
        1 => index().prop_map(Step::FinishOfAnother),
        1 => any::<bool>().prop_map(Step::Pause),
        1 => (0..3_u16).prop_map(Step::DeadLetters),
        1 => (0..9_u64).prop_map(Step::Seek),
        1 => (0..6_u64).prop_map(Step::Limit),
        3 => prop::bool::weighted(0.7).prop_map(Step::Bury),
        1 => Just(Step::Empty),
        1 => (0..9_u64).prop_map(Step::Expire),
        3 => (1..15_u64).prop_map(Step::Advance),
        5 => Just(Step::Load),
        2 => Just(Step::Forget),
        1 => Just(Step::Restart),
    ]
}
