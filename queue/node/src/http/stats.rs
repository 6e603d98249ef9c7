//! `/stats`, for programs and for people.

mod text;

use punctual_queue_wire::http::{HttpError, Query};
use punctual_queue_wire::identify::NSQ_VERSION;
use serde::Serialize;
use serde_json::Value;

use super::Served;
use super::answer::Answer;
use crate::memory::MemoryStats;
use crate::stats::{self, ClientStats, StatsFilter, TopicStats};

/// What `/stats` shows, as programs read it.
#[derive(Debug, Serialize)]
struct Shown {
    version: &'static str,
    health: String,
    /// Seconds since the Unix epoch.
    start_time: i64,
    /// `None` when one was asked for that does not exist.
    topics: Option<Vec<TopicStats>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<MemoryStats>,
    producers: Option<Vec<ClientStats>>,
    /// Extension: what is left, while the node drains.
    #[serde(skip_serializing_if = "Option::is_none")]
    drain: Option<Value>,
}

impl Served {
    pub(super) fn topics(&self, filter: &StatsFilter) -> Option<Vec<TopicStats>> {
        stats::topics(&self.shared, filter)
    }

    pub(super) fn stats(&self, query: &Query) -> Result<Answer, HttpError> {
        let given = |name| query.get(name).filter(|value| !value.is_empty()).map(str::to_owned);
        let flag = |name| !matches!(query.get(name), Some("false" | "0"));
        let filter = StatsFilter {
            topic: given("topic"),
            channel: given("channel"),
            without_clients: !flag("include_clients"),
        };
        let context = &self.shared.context;
        let topics = self.topics(&filter);
        let shows_producers = topics.is_some() && !filter.without_clients;
        let shown = Shown {
            version: NSQ_VERSION,
            health: context.health.problem().map_or("OK".to_owned(), |problem| format!("NOK - {problem}")),
            start_time: context.started_at.timestamp(),
            topics,
            memory: flag("include_mem").then(MemoryStats::of_process),
            producers: shows_producers.then(|| self.shared.clients.producers()),
            drain: self.draining(),
        };
        if query.get("format") != Some("json") {
            return Ok(Answer::Text(text::render(&shown, context.started_at, context.clock.now())));
        }
        serde_json::to_value(&shown).map(Answer::Json).map_err(|_| HttpError::INTERNAL_ERROR)
    }
}
