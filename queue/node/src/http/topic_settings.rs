//! `/topic/retain`, `/topic/keep` and `/topic/limit`: how long and how many messages a topic keeps. NSQ has nothing like them.

use punctual_queue_wire::http::{HttpError, Query};

use super::Served;
use super::answer::Answer;
use super::manage::internal;
use crate::topic::{DepthLimit, WhenFull};

impl Served {
    /// Messages are dropped once they are so old; never, with `for=0`.
    pub(super) async fn set_retain(&self, query: &Query) -> Result<Answer, HttpError> {
        let topic = self.named_topic(query)?;
        let retain_ms = query.for_ms()?;
        topic.change_settings(|settings| settings.retain_ms = retain_ms).await.map_err(internal)?;
        Ok(Answer::Empty)
    }

    /// Messages stay on the disk for so long though everybody has finished them; not so, with `for=0`.
    pub(super) async fn set_keep(&self, query: &Query) -> Result<Answer, HttpError> {
        let topic = self.named_topic(query)?;
        let keep_ms = query.for_ms()?;
        topic.change_settings(|settings| settings.keep_ms = keep_ms).await.map_err(internal)?;
        Ok(Answer::Empty)
    }

    /// No more messages than that wait; any number, with `max_depth=0`.
    pub(super) async fn set_limit(&self, query: &Query) -> Result<Answer, HttpError> {
        let topic = self.named_topic(query)?;
        let max_depth = query.require("max_depth", "MISSING_ARG_MAX_DEPTH")?;
        let max_depth = max_depth.parse().map_err(|_| HttpError::new(400, "INVALID_ARG_MAX_DEPTH"))?;
        let limit = if max_depth == 0 {
            None
        } else {
            let when_full = match query.require("when_full", "MISSING_ARG_WHEN_FULL")? {
                "refuse" => WhenFull::Refuse,
                "drop_oldest" => WhenFull::DropOldest,
                _ => return Err(HttpError::new(400, "INVALID_ARG_WHEN_FULL")),
            };
            Some(DepthLimit { max_depth, when_full })
        };
        topic.change_settings(|settings| settings.limit = limit).await.map_err(internal)?;
        Ok(Answer::Empty)
    }
}
