//! The paths of the interface.

use axum::http::Method;

use super::manage::{ChannelAction, TopicAction};
use super::{config, debug};

/// What a path is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Ping,
    Info,
    Stats,
    Publish,
    PublishMany,
    Topic(TopicAction),
    Channel(ChannelAction),
    DeadLetters,
    Drain(bool),
    Retain,
    Keep,
    Limit,
    Seek,
    Profile,
    ProfileSymbol,
    BlockRate,
    PeekChannel,
    PeekTopic,
    FreeMemory,
    Config,
}

impl Endpoint {
    pub(super) fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/ping" => Self::Ping,
            "/info" => Self::Info,
            "/stats" => Self::Stats,
            "/pub" => Self::Publish,
            "/mpub" => Self::PublishMany,
            "/topic/create" => Self::Topic(TopicAction::Create),
            "/topic/delete" => Self::Topic(TopicAction::Delete),
            "/topic/empty" => Self::Topic(TopicAction::Empty),
            "/topic/pause" => Self::Topic(TopicAction::Pause),
            "/topic/unpause" => Self::Topic(TopicAction::Unpause),
            "/channel/create" => Self::Channel(ChannelAction::Create),
            "/channel/delete" => Self::Channel(ChannelAction::Delete),
            "/channel/empty" => Self::Channel(ChannelAction::Empty),
            "/channel/pause" => Self::Channel(ChannelAction::Pause),
            "/channel/unpause" => Self::Channel(ChannelAction::Unpause),
            "/topic/retain" => Self::Retain,
            "/topic/keep" => Self::Keep,
            "/topic/limit" => Self::Limit,
            "/channel/seek" => Self::Seek,
            "/drain" => Self::Drain(true),
            "/undrain" => Self::Drain(false),
            "/channel/dead_letter" => Self::DeadLetters,
            "/debug/pprof/symbol" => Self::ProfileSymbol,
            "/debug/setblockrate" => Self::BlockRate,
            "/channel/peek" => Self::PeekChannel,
            "/topic/peek" => Self::PeekTopic,
            "/debug/freememory" => Self::FreeMemory,
            path if debug::is_profile(path) => Self::Profile,
            path if config::is_at(path) => Self::Config,
            _ => return None,
        })
    }

    /// The methods it takes, and the same as a header says it.
    pub(super) fn methods(self) -> (&'static [Method], &'static str) {
        match self {
            Self::Ping | Self::Info | Self::Stats | Self::Profile | Self::PeekChannel | Self::PeekTopic => {
                (&[Method::GET], "GET, OPTIONS")
            }
            Self::ProfileSymbol => (&[Method::GET, Method::POST], "GET, OPTIONS, POST"),
            Self::BlockRate => (&[Method::PUT], "OPTIONS, PUT"),
            Self::Publish
            | Self::PublishMany
            | Self::Topic(_)
            | Self::Channel(_)
            | Self::DeadLetters
            | Self::Drain(_)
            | Self::Retain
            | Self::Keep
            | Self::Limit
            | Self::Seek
            | Self::FreeMemory => (&[Method::POST], "OPTIONS, POST"),
            Self::Config => (&[Method::GET, Method::PUT], "GET, OPTIONS, PUT"),
        }
    }
}
