//! `/channel/dead_letter`: where messages go that were delivered in vain. NSQ has nothing like it.

use std::num::NonZeroU16;

use punctual_queue_wire::http::{HttpError, Query};
use punctual_queue_wire::name::TopicName;

use super::Served;
use super::answer::Answer;
use super::manage::{CHANNEL_NOT_FOUND, internal};
use crate::channel::DeadLetters;
use crate::topics::NotSet;

impl Served {
    /// Sets it, or with `max_attempts=0` unsets it.
    pub(super) async fn set_dead_letters(&self, query: &Query) -> Result<Answer, HttpError> {
        let (topic, channel) = self.named(query)?;
        let max_attempts = query.require("max_attempts", "MISSING_ARG_MAX_ATTEMPTS")?;
        let max_attempts: u16 =
            max_attempts.parse().map_err(|_| HttpError::new(400, "INVALID_ARG_MAX_ATTEMPTS"))?;
        let dead_letters = match NonZeroU16::new(max_attempts) {
            None => None,
            Some(max_attempts) => Some(DeadLetters { max_attempts, to: target(query)? }),
        };
        if channel.is_ephemeral() {
            return Err(HttpError::new(400, "INVALID_ARG_CHANNEL")); // it keeps nothing, settings included
        }
        let channel = topic.channel(&channel).ok_or(CHANNEL_NOT_FOUND)?;
        match self.shared.topics.set_dead_letters(&topic, &channel, dead_letters).await {
            Ok(()) => Ok(Answer::Empty),
            Err(NotSet::Loop) => Err(HttpError::new(400, "DEAD_LETTER_LOOP")),
            Err(NotSet::Failed(e)) => Err(internal(e)),
        }
    }
}

fn target(query: &Query) -> Result<TopicName, HttpError> {
    let to = query.require("to", "MISSING_ARG_TO")?;
    let to = to.parse::<TopicName>().ok().filter(|to| !to.is_ephemeral());
    to.ok_or(HttpError::new(400, "INVALID_ARG_TO"))
}
