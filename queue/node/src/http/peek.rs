//! `/channel/peek` and `/topic/peek`: messages shown without being consumed. NSQ has nothing like it.

use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use punctual_queue_wire::http::{HttpError, Query};
use serde_json::{Value, json};

use super::Served;
use super::answer::Answer;
use super::manage::{CHANNEL_NOT_FOUND, internal};
use crate::channel::MessageState;
use crate::topic::{Seen, due_in};

/// How many messages are shown when nobody says, and at most.
const COUNT: usize = 10;
const MAX_COUNT: usize = 100;

/// How many bytes of bodies are shown when nobody says, and at most.
const BYTES: usize = 64 * 1024;
const MAX_BYTES: usize = 1024 * 1024;

impl Served {
    pub(super) async fn peek_channel(&self, query: &Query) -> Result<Answer, HttpError> {
        let (topic, channel) = self.named(query)?;
        let (count, max_bytes) = bounds(query)?;
        let channel = topic.channel(&channel).ok_or(CHANNEL_NOT_FOUND)?;
        let seen = topic.peek_channel(&channel, count, max_bytes).await.map_err(internal)?;
        Ok(shown(&seen, max_bytes))
    }

    pub(super) async fn peek_topic(&self, query: &Query) -> Result<Answer, HttpError> {
        let topic = self.named_topic(query)?;
        let (count, max_bytes) = bounds(query)?;
        let seen = topic.peek(count, max_bytes).await.map_err(internal)?;
        Ok(shown(&seen, max_bytes))
    }
}

fn bounds(query: &Query) -> Result<(usize, usize), HttpError> {
    let count = query.number("count", COUNT, 1..=MAX_COUNT, "INVALID_ARG_COUNT")?;
    let bytes = query.number("max_bytes", BYTES, 1..=MAX_BYTES, "INVALID_ARG_MAX_BYTES")?;
    Ok((count, bytes))
}

fn shown(seen: &[Seen], max_bytes: usize) -> Answer {
    let now = Instant::now();
    let messages: Vec<_> = seen.iter().map(|seen| message(seen, max_bytes, now)).collect();
    Answer::Json(json!({ "messages": messages }))
}

fn message(seen: &Seen, max_bytes: usize, now: Instant) -> Value {
    let body = &seen.message.body;
    let mut shown = json!({
        "id": seen.message.sequence.id().to_string(),
        "timestamp": seen.message.timestamp_ns,
        "attempts": seen.attempts,
        "state": match seen.state {
            MessageState::Waiting => "waiting",
            MessageState::InFlight => "in_flight",
            MessageState::Deferred(_) => "deferred",
        },
        "body_bytes": body.len(),
    });
    let begin = &body[..body.len().min(max_bytes)];
    match std::str::from_utf8(body) {
        Ok(text) => shown["body"] = text[..text.floor_char_boundary(begin.len())].into(),
        Err(_) => shown["body_base64"] = STANDARD.encode(begin).into(),
    }
    if begin.len() < body.len() {
        shown["body_cut"] = true.into();
    }
    if let Some(due_in) = due_in(seen.state, now) {
        shown["due_in_ms"] = u64::try_from(due_in.as_millis()).unwrap_or(u64::MAX).into();
    }
    if let Some(origin) = &seen.origin {
        shown["origin"] = json!(origin);
    }
    shown
}
