//! Publishing over HTTP.

use std::time::Duration;

use axum::body::{Body, Bytes};
use bytes::Buf;
use punctual_queue_wire::bodies::{Bodies, Packing};
use punctual_queue_wire::http::{HttpError, Query};
use punctual_queue_wire::name::TopicName;

use super::Served;
use super::answer::Answer;
use crate::error::TopicError;
use crate::topic::received;

/// nsqd's only word for what could not be stored.
const EXITING: HttpError = HttpError::new(503, "EXITING");

/// The same status, which clients take for "later or elsewhere", with the reason that a person needs.
const DISK_FULL: HttpError = HttpError::new(503, "DISK_FULL");
const TOPIC_FULL: HttpError = HttpError::new(503, "TOPIC_FULL");
const DRAINING: HttpError = HttpError::new(503, "DRAINING");

impl Served {
    pub(super) async fn publish(
        &self,
        query: Result<Query, HttpError>,
        body: Body,
    ) -> Result<Answer, HttpError> {
        let limits = &self.shared.context.limits;
        let body = read(body, limits.max_message_bytes, "MSG_TOO_BIG").await?;
        if body.is_empty() {
            return Err(HttpError::new(400, "MSG_EMPTY"));
        }
        let query = query?;
        let topic = topic_of(&query)?;
        let invalid_delay = HttpError::new(400, "INVALID_DEFER");
        let delay = match query.get("defer") {
            None => Duration::ZERO,
            Some(text) => text.parse().map(Duration::from_millis).map_err(|_| invalid_delay.clone())?,
        };
        if delay > limits.max_requeue_delay {
            return Err(invalid_delay);
        }
        self.hand_in(&topic, Bodies::from_iter([body]), delay).await
    }

    pub(super) async fn publish_many(
        &self,
        query: Result<Query, HttpError>,
        body: Body,
    ) -> Result<Answer, HttpError> {
        let limits = &self.shared.context.limits;
        let body = read(body, limits.max_body_bytes, "BODY_TOO_BIG").await?;
        let query = query?;
        let topic = topic_of(&query)?;
        let is_binary = query.get("binary").is_some_and(|binary| !matches!(binary, "false" | "0"));
        let max_bytes = limits.max_message_bytes as usize;
        let bodies = if is_binary {
            binary_bodies(body, limits.max_mpub_messages(), max_bytes)?
        } else {
            text_bodies(&body, max_bytes)?
        };
        if bodies.is_empty() {
            return Ok(Answer::Text("OK".to_owned()));
        }
        self.hand_in(&topic, bodies, Duration::ZERO).await
    }

    async fn hand_in(&self, topic: &TopicName, bodies: Bodies, delay: Duration) -> Result<Answer, HttpError> {
        if self.shared.context.drain.is_on() {
            return Err(DRAINING);
        }
        let topic = self.shared.topics.get_or_create(topic).await.map_err(|e| not_stored(&e))?;
        received(topic.publish(bodies, delay)).await.map_err(|e| not_stored(&e))?;
        Ok(Answer::Text("OK".to_owned()))
    }
}

fn not_stored(error: &TopicError) -> HttpError {
    match error {
        TopicError::TopicFull => TOPIC_FULL,
        error if error.is_full() => DISK_FULL,
        _ => EXITING,
    }
}

fn topic_of(query: &Query) -> Result<TopicName, HttpError> {
    let name = query.require("topic", "MISSING_ARG_TOPIC")?;
    name.parse().map_err(|_| HttpError::new(400, "INVALID_TOPIC"))
}

async fn read(body: Body, max_bytes: u32, too_big: &'static str) -> Result<Bytes, HttpError> {
    // A body that breaks off is reported like one that is too long: nobody is left to read the answer.
    axum::body::to_bytes(body, max_bytes as usize).await.map_err(|_| HttpError::new(413, too_big))
}

fn text_bodies(body: &[u8], max_bytes: usize) -> Result<Bodies, HttpError> {
    let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines
        .map(|line| {
            if line.len() > max_bytes {
                return Err(HttpError::new(413, "MSG_TOO_BIG"));
            }
            Ok(line)
        })
        .collect()
}

fn binary_bodies(mut body: Bytes, max_count: u32, max_bytes: usize) -> Result<Bodies, HttpError> {
    const BAD_BODY: HttpError = HttpError::new(413, "BAD_BODY");
    const BAD_MESSAGE: HttpError = HttpError::new(413, "BAD_MESSAGE");
    let count = body.try_get_i32().map_err(|_| BAD_BODY)?;
    let count = u32::try_from(count).ok().filter(|count| (1..=max_count).contains(count)).ok_or(BAD_BODY)?;
    let mut bodies = Packing::default();
    for _ in 0..count {
        let size = body.try_get_i32().map_err(|_| BAD_MESSAGE)?;
        let size =
            usize::try_from(size).ok().filter(|size| (1..=max_bytes).contains(size)).ok_or(BAD_MESSAGE)?;
        if size > body.len() {
            return Err(BAD_MESSAGE);
        }
        bodies.push(&body.split_to(size));
    }
    Ok(bodies.finish())
}
