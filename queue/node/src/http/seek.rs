//! `/channel/seek`: a channel delivers again what it is done with. NSQ has nothing like it.

use punctual_queue_wire::http::{HttpError, Query};

use super::Served;
use super::answer::Answer;
use super::manage::{CHANNEL_NOT_FOUND, internal};

impl Served {
    /// Back by so much time.
    pub(super) async fn seek(&self, query: &Query) -> Result<Answer, HttpError> {
        let (topic, channel) = self.named(query)?;
        let back = query.duration("back", "MISSING_ARG_BACK", "INVALID_ARG_BACK")?;
        let channel = topic.channel(&channel).ok_or(CHANNEL_NOT_FOUND)?;
        let back_ns = i64::try_from(back.as_nanos()).unwrap_or(i64::MAX);
        let to_ns = self.shared.context.unix_ns().saturating_sub(back_ns);
        topic.seek(&channel, to_ns).await.map_err(internal)?;
        Ok(Answer::Empty)
    }
}
