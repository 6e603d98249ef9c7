//! Making, deleting, emptying and pausing topics and channels.

use std::sync::Arc;

use punctual_queue_wire::http::{HttpError, Query};
use punctual_queue_wire::name::{ChannelName, TopicName};

use super::Served;
use super::answer::Answer;
use crate::error::TopicError;
use crate::topic::Topic;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TopicAction {
    Create,
    Delete,
    Empty,
    Pause,
    Unpause,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChannelAction {
    Create,
    Delete,
    Empty,
    Pause,
    Unpause,
}

pub(super) const TOPIC_NOT_FOUND: HttpError = HttpError::new(404, "TOPIC_NOT_FOUND");
pub(super) const CHANNEL_NOT_FOUND: HttpError = HttpError::new(404, "CHANNEL_NOT_FOUND");

impl Served {
    pub(super) async fn manage_topic(&self, action: TopicAction, query: &Query) -> Result<Answer, HttpError> {
        let name = query.require("topic", "MISSING_ARG_TOPIC")?;
        let topics = &self.shared.topics;
        let parsed = name.parse::<TopicName>();
        if matches!(action, TopicAction::Create | TopicAction::Empty) && parsed.is_err() {
            return Err(HttpError::new(400, "INVALID_TOPIC"));
        }
        let name = parsed.map_err(|_| TOPIC_NOT_FOUND)?;
        let found = || topics.get(&name).ok_or(TOPIC_NOT_FOUND);
        match action {
            TopicAction::Create => drop(topics.get_or_create(&name).await.map_err(internal)?),
            TopicAction::Delete => {
                if !topics.delete(&name).await.map_err(internal)? {
                    return Err(TOPIC_NOT_FOUND);
                }
            }
            TopicAction::Empty => found()?.empty().await.map_err(internal)?,
            TopicAction::Pause => found()?.set_paused(true).await.map_err(internal)?,
            TopicAction::Unpause => found()?.set_paused(false).await.map_err(internal)?,
        }
        Ok(Answer::Empty)
    }

    pub(super) async fn manage_channel(
        &self,
        action: ChannelAction,
        query: &Query,
    ) -> Result<Answer, HttpError> {
        let (topic, channel) = self.named(query)?;
        if action == ChannelAction::Create {
            topic.channel_or_create(&channel).await.map_err(internal)?;
            return Ok(Answer::Empty);
        }
        let channel = topic.channel(&channel).ok_or(CHANNEL_NOT_FOUND)?;
        match action {
            ChannelAction::Create => {}
            ChannelAction::Delete => {
                if !self.shared.topics.delete_channel(&topic, &channel).await.map_err(internal)? {
                    return Err(CHANNEL_NOT_FOUND);
                }
            }
            ChannelAction::Empty => topic.empty_channel(&channel).await.map_err(internal)?,
            ChannelAction::Pause => topic.set_channel_paused(&channel, true).await.map_err(internal)?,
            ChannelAction::Unpause => topic.set_channel_paused(&channel, false).await.map_err(internal)?,
        }
        Ok(Answer::Empty)
    }

    pub(super) fn named_topic(&self, query: &Query) -> Result<Arc<Topic>, HttpError> {
        self.shared.topics.get(&topic_name(query)?).ok_or(TOPIC_NOT_FOUND)
    }

    pub(super) fn named(&self, query: &Query) -> Result<(Arc<Topic>, ChannelName), HttpError> {
        let topic = topic_name(query)?;
        let channel = query.require("channel", "MISSING_ARG_CHANNEL")?;
        let channel = channel.parse().map_err(|_| HttpError::new(400, "INVALID_ARG_CHANNEL"))?;
        let topic = self.shared.topics.get(&topic).ok_or(TOPIC_NOT_FOUND)?;
        Ok((topic, channel))
    }
}

fn topic_name(query: &Query) -> Result<TopicName, HttpError> {
    let topic = query.require("topic", "MISSING_ARG_TOPIC")?;
    topic.parse().map_err(|_| HttpError::new(400, "INVALID_ARG_TOPIC"))
}

pub(super) fn internal(error: TopicError) -> HttpError {
    if matches!(error, TopicError::Deleted) {
        return TOPIC_NOT_FOUND;
    }
    if matches!(error, TopicError::Busy) {
        return HttpError::new(503, "BUSY");
    }
    tracing::warn!(error = crate::health::reason(&error), "an operation on a topic failed");
    HttpError::INTERNAL_ERROR
}
