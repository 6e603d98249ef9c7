//! The HTTP interface: what each path does to the registry. The answers' forms are those that NSQ's clients expect.

use punctual_queue_wire::{
    http::{HttpError, Query},
    identify::NSQ_VERSION,
    name::{ChannelName, TopicName},
};
use serde::Serialize;

use crate::registry::{Moment, Registry};

mod answer;

pub(crate) use answer::{Answer, Content};

/// Ours: NSQ's takes in whatever comes.
const TOO_MANY_NAMES: HttpError = HttpError::new(503, "TOO_MANY_NAMES");

/// What a request asks for.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// Without the `?`.
    pub(crate) query: &'a str,
}

/// One thing that can be asked. All but [`Ping`](Self::Ping) carry NSQ's content type header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    Ping,
    Info,
    Lookup,
    Topics,
    Channels,
    Nodes,
    Debug,
    CreateTopic,
    DeleteTopic,
    CreateChannel,
    DeleteChannel,
    TombstoneTopic,
}

impl Endpoint {
    fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/ping" => Self::Ping,
            "/info" => Self::Info,
            "/lookup" => Self::Lookup,
            "/topics" => Self::Topics,
            "/channels" => Self::Channels,
            "/nodes" => Self::Nodes,
            "/debug" => Self::Debug,
            "/topic/create" => Self::CreateTopic,
            "/topic/delete" => Self::DeleteTopic,
            "/channel/create" => Self::CreateChannel,
            "/channel/delete" => Self::DeleteChannel,
            "/topic/tombstone" => Self::TombstoneTopic,
            _ => return None,
        })
    }

    fn method(self) -> &'static str {
        match self {
            Self::Ping
            | Self::Info
            | Self::Lookup
            | Self::Topics
            | Self::Channels
            | Self::Nodes
            | Self::Debug => "GET",
            Self::CreateTopic
            | Self::DeleteTopic
            | Self::CreateChannel
            | Self::DeleteChannel
            | Self::TombstoneTopic => "POST",
        }
    }

    fn allow(self) -> &'static str {
        if self.method() == "GET" { "GET, OPTIONS" } else { "OPTIONS, POST" }
    }

    fn run(self, query: &Query, registry: &mut Registry, now: Moment) -> Result<Content, HttpError> {
        match self {
            Self::Ping => return Ok(Content::Text("OK")),
            Self::Info => return json(&Info { version: NSQ_VERSION }),
            Self::Lookup => {
                let answer = registry.lookup(topic_text(query)?, now.instant);
                return json(&answer.ok_or(HttpError::new(404, "TOPIC_NOT_FOUND"))?);
            }
            Self::Topics => return json(&registry.topics()),
            Self::Channels => return json(&registry.channels(topic_text(query)?)),
            Self::Nodes => return json(&registry.nodes(now.instant)),
            Self::Debug => return json(&registry.debug(now)),
            Self::CreateTopic => registry.create_topic(topic(query)?).map_err(|_| TOO_MANY_NAMES)?,
            Self::DeleteTopic => registry.delete_topic(topic_text(query)?),
            Self::CreateChannel => {
                let (topic, channel) = topic_and_channel(query)?;
                registry.create_channel(topic, channel).map_err(|_| TOO_MANY_NAMES)?;
            }
            Self::DeleteChannel => {
                let (topic, channel) = topic_and_channel(query)?;
                registry
                    .delete_channel(&topic, &channel)
                    .map_err(|_| HttpError::new(404, "CHANNEL_NOT_FOUND"))?;
            }
            Self::TombstoneTopic => {
                let topic = topic_text(query)?;
                registry.tombstone(topic, query.require("node", "MISSING_ARG_NODE")?, now.instant);
            }
        }
        Ok(Content::Nothing)
    }
}

/// Answers one request.
pub(crate) fn answer(request: &Request<'_>, registry: &mut Registry, now: Moment) -> Answer {
    let Some(endpoint) = Endpoint::at(request.path) else {
        let trimmed = request.path.strip_suffix('/').filter(|path| Endpoint::at(path).is_some());
        return trimmed.map_or_else(
            || Answer::error(&HttpError::NOT_FOUND),
            |path| Answer::moved(path, request.method, request.query),
        );
    };
    if request.method == "OPTIONS" {
        return Answer::options(endpoint.allow());
    }
    if request.method != endpoint.method() {
        return Answer::error(&HttpError::METHOD_NOT_ALLOWED).with_allow(endpoint.allow());
    }
    let content = Query::parse(request.query).and_then(|query| endpoint.run(&query, registry, now));
    match content {
        Ok(content) => Answer::of(content, endpoint != Endpoint::Ping),
        Err(error) => Answer::error(&error),
    }
}

#[derive(Serialize)]
struct Info {
    version: &'static str,
}

fn json(answer: &impl Serialize) -> Result<Content, HttpError> {
    serde_json::to_vec(answer).map(Content::Json).map_err(|_| HttpError::INTERNAL_ERROR)
}

/// Reading and forgetting a topic take any text: a name that cannot exist is simply not registered.
fn topic_text(query: &Query) -> Result<&str, HttpError> {
    query.require("topic", "MISSING_ARG_TOPIC")
}

fn topic(query: &Query) -> Result<TopicName, HttpError> {
    topic_text(query)?.parse().map_err(|_| HttpError::new(400, "INVALID_ARG_TOPIC"))
}

fn topic_and_channel(query: &Query) -> Result<(TopicName, ChannelName), HttpError> {
    let topic = topic(query)?;
    let channel = query.require("channel", "MISSING_ARG_CHANNEL")?;
    Ok((topic, channel.parse().map_err(|_| HttpError::new(400, "INVALID_ARG_CHANNEL"))?))
}

#[cfg(test)]
mod tests;
