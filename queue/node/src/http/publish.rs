//! Publishing over HTTP.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use punctual_queue_wire::bodies::Bodies;
use punctual_queue_wire::command::{Limits, mpub_bodies};
use punctual_queue_wire::error::ErrorCode;
use punctual_queue_wire::http::{HttpError, MpubForm, Query};
use punctual_queue_wire::name::TopicName;

use super::Served;
use super::answer::Answer;
use crate::error::TopicError;
use crate::topic::{Topic, received};

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
        let max_bytes = self.shared.context.limits.max_message_bytes;
        let body = read(body, max_bytes, "MSG_TOO_BIG").await?;
        if body.is_empty() {
            return Err(HttpError::new(400, "MSG_EMPTY"));
        }
        let query = query?;
        let topic = self.topic_of(&query).await?;
        let delay = query.defer(self.shared.context.limits.max_publish_delay)?;
        hand_in(&topic, Bodies::from_iter([body]), delay).await
    }

    pub(super) async fn publish_many(
        &self,
        query: Result<Query, HttpError>,
        body: Body,
    ) -> Result<Answer, HttpError> {
        const TOO_BIG: &str = "BODY_TOO_BIG";
        let limits = &self.shared.context.limits;
        refuse_announced(&body, limits.max_body_bytes, TOO_BIG)?;
        let query = query?;
        let topic = self.topic_of(&query).await?;
        let delay = query.defer(limits.max_publish_delay)?;
        let body = read(body, limits.max_body_bytes, TOO_BIG).await?;
        let bodies = if is_binary(&query) {
            binary_bodies(body, limits)?
        } else {
            text_bodies(&body, limits.max_message_bytes as usize)?
        };
        if bodies.is_empty() {
            return Ok(Answer::Text("OK".to_owned()));
        }
        hand_in(&topic, bodies, delay).await
    }

    /// The topic to publish to, made where there is none.
    async fn topic_of(&self, query: &Query) -> Result<Arc<Topic>, HttpError> {
        let name = query.require("topic", "MISSING_ARG_TOPIC")?;
        let name = name.parse::<TopicName>().map_err(|_| HttpError::new(400, "INVALID_TOPIC"))?;
        if self.shared.context.drain.is_on() {
            return Err(DRAINING);
        }
        self.shared.topics.get_or_create(&name).await.map_err(|e| not_stored(&e))
    }
}

async fn hand_in(topic: &Arc<Topic>, bodies: Bodies, delay: Duration) -> Result<Answer, HttpError> {
    received(topic.publish(bodies, delay)).await.map_err(|e| not_stored(&e))?;
    Ok(Answer::Text("OK".to_owned()))
}

fn is_binary(query: &Query) -> bool {
    let form = query.mpub_form();
    if form == MpubForm::BinaryByAnyValue {
        let binary = query.get("binary").unwrap_or_default();
        tracing::warn!(binary, "a deprecated value of the parameter binary of /mpub; it means true");
    }
    form != MpubForm::Lines
}

fn not_stored(error: &TopicError) -> HttpError {
    match error {
        TopicError::TopicFull => TOPIC_FULL,
        error if error.is_full() => DISK_FULL,
        _ => EXITING,
    }
}

/// Refuses a body that is too large by its own account, before any of it is read.
fn refuse_announced(body: &Body, max_bytes: u32, too_big: &'static str) -> Result<(), HttpError> {
    if body.size_hint().lower() > u64::from(max_bytes) {
        return Err(HttpError::new(413, too_big));
    }
    Ok(())
}

async fn read(body: Body, max_bytes: u32, too_big: &'static str) -> Result<Bytes, HttpError> {
    refuse_announced(&body, max_bytes, too_big)?;
    axum::body::to_bytes(body, max_bytes as usize).await.map_err(|error| match is_late(&error) {
        true => HttpError::new(408, "BODY_TOO_SLOW"),
        // One that breaks off is reported like one that is too long: nobody is left to read the answer.
        false => HttpError::new(413, too_big),
    })
}

/// Whether nothing more came of a body, for so long that it was given up.
fn is_late(error: &axum::Error) -> bool {
    let chain = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    let mut causes = chain.filter_map(|error| error.downcast_ref::<std::io::Error>());
    causes.any(|cause| cause.kind() == std::io::ErrorKind::TimedOut)
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

fn binary_bodies(body: Bytes, limits: &Limits) -> Result<Bodies, HttpError> {
    mpub_bodies(body, limits).map_err(|error| match error.code() {
        Some(ErrorCode::BadMessage) => HttpError::new(413, "BAD_MESSAGE"),
        _ => HttpError::new(413, "BAD_BODY"),
    })
}
