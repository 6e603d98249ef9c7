//! What may happen to a channel.

use proptest::prelude::*;
use proptest::sample::Index;

use super::CONSUMERS;

/// Something that happens. Consumers are named by their place, messages by an index into those that are meant.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Publish {
        messages: u8,
        delay_secs: u64,
    },
    /// Instead of the consumer that is there, if one is.
    Connect {
        at: usize,
        timeout_secs: u64,
        sample_rate: u8,
    },
    /// What it holds stays with it until it times out, as the node is told to with `--hold-on-disconnect`.
    Disconnect {
        at: usize,
        hold: bool,
    },
    Ready {
        at: usize,
        count: u32,
    },
    Finish(Target),
    Requeue(Target, u64),
    Touch(Target),
    PauseChannel(bool),
    PauseTopic(bool),
    EmptyChannel,
    EmptyTopic,
    /// A channel of the same name is made at once.
    DeleteChannel,
    /// Everything but so many goes that is not in flight: it was kept as long as messages are.
    Expire {
        kept: u64,
    },
    /// The oldest go until no more than so many wait.
    Limit {
        max: u64,
    },
    /// Messages die that were delivered so often; 0 for none.
    DeadLetters {
        max_attempts: u16,
    },
    /// Whether the other topic takes what is dying.
    Bury {
        taken: bool,
    },
    /// The last so many are to be delivered as if they never were.
    Seek {
        back: u64,
    },
    Advance {
        secs: u64,
    },
    /// The channel is told to read what it wants, and goes on meanwhile.
    BeginRead,
    /// It gets a part of what it wants to read.
    Read,
    /// What it wants to read cannot be read now.
    ReadFails,
    /// It gets all it wants to read: whoever wants a message has one now.
    ReadAll,
    /// So much comes into memory that older bodies are forgotten.
    Forget,
    Restart,
}

/// A message, and who names it.
#[derive(Debug, Clone)]
pub(super) enum Target {
    /// One in flight, by the consumer that holds it.
    Held(Index),
    /// Any, by anyone: mostly refused.
    Any(Index, usize),
}

pub(super) fn a_step() -> impl Strategy<Value = Step> {
    let at = || 0..CONSUMERS;
    let delay = || prop_oneof![3 => Just(0), 1 => 1..20_u64];
    let target = || {
        prop_oneof![
            6 => any::<Index>().prop_map(Target::Held),
            1 => (any::<Index>(), at()).prop_map(|(message, by)| Target::Any(message, by)),
        ]
    };
    let sample_rate = prop_oneof![8 => Just(0_u8), 1 => 1..100_u8];
    prop_oneof![
        5 => (1..5_u8, delay()).prop_map(|(messages, delay_secs)| Step::Publish { messages, delay_secs }),
        2 => (at(), 5..12_u64, sample_rate)
            .prop_map(|(at, timeout_secs, sample_rate)| Step::Connect { at, timeout_secs, sample_rate }),
        1 => (at(), any::<bool>()).prop_map(|(at, hold)| Step::Disconnect { at, hold }),
        4 => (at(), 0..6_u32).prop_map(|(at, count)| Step::Ready { at, count }),
        6 => target().prop_map(Step::Finish),
        3 => (target(), delay()).prop_map(|(target, delay)| Step::Requeue(target, delay)),
        3 => target().prop_map(Step::Touch),
        1 => any::<bool>().prop_map(Step::PauseChannel),
        1 => any::<bool>().prop_map(Step::PauseTopic),
        1 => prop_oneof![Just(Step::EmptyChannel), Just(Step::EmptyTopic), Just(Step::DeleteChannel)],
        1 => (0..12_u64).prop_map(|kept| Step::Expire { kept }),
        1 => (0..12_u64).prop_map(|max| Step::Limit { max }),
        1 => (0..4_u16).prop_map(|max_attempts| Step::DeadLetters { max_attempts }),
        2 => any::<bool>().prop_map(|taken| Step::Bury { taken }),
        1 => (0..12_u64).prop_map(|back| Step::Seek { back }),
        3 => (1..9_u64).prop_map(|secs| Step::Advance { secs }),
        2 => Just(Step::BeginRead),
        3 => Just(Step::Read),
        1 => Just(Step::ReadFails),
        3 => Just(Step::ReadAll),
        1 => Just(Step::Forget),
        1 => Just(Step::Restart),
    ]
}
