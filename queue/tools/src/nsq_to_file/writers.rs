//! A writer for each topic.

use std::collections::HashSet;
use std::time::Duration;

use punctual_queue_wire::name::{ChannelName, TopicName};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::ToFileError;
use super::file_name::{FileNames, Naming};
use super::spool::{Spool, SpoolError, SpoolOptions};
use super::topic::TopicWriter;
use super::topics::Topics;
use crate::client_settings::ClientSettings;
use crate::consuming::ConsumingArgs;
use crate::error::ToolError;
use crate::time_of_day::TimeOfDay;

/// What all of them need.
#[derive(Debug)]
pub(super) struct Writers {
    pub(super) consuming: ConsumingArgs,
    pub(super) settings: ClientSettings,
    pub(super) channel: ChannelName,
    pub(super) topics: Topics,
    pub(super) topic_refresh: Duration,
    pub(super) naming: Naming,
    pub(super) spool: SpoolOptions,
    pub(super) sync_interval: Duration,
    pub(super) time_of_day: TimeOfDay,
}

type Running = JoinSet<Result<(), SpoolError>>;

impl Writers {
    /// Writes the topics there are, and those that come, until `stop`, or until a file fails.
    pub(super) async fn run(
        self,
        stop: CancellationToken,
        reopen: watch::Receiver<u64>,
    ) -> Result<(), ToolError> {
        // One that fails stops the others, and nobody else.
        let stop = stop.child_token();
        let mut writers = Running::new();
        let mut known = HashSet::new();
        let mut refresh = interval(self.topic_refresh.max(Duration::from_millis(1)));
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut outcome = Ok(());
        loop {
            let topics = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = writers.join_next() => {
                    outcome = judge(ended);
                    break;
                }
                topics = self.next_topics(&mut refresh, known.is_empty()) => topics,
            };
            for topic in topics {
                if known.insert(topic.clone()) {
                    self.begin(&topic, &mut writers, &stop, &reopen)?;
                }
            }
        }
        stop.cancel();
        while let Some(ended) = writers.join_next().await {
            outcome = outcome.and(judge(ended));
        }
        outcome
    }

    /// The topics there are, when it is time to look.
    async fn next_topics(&self, refresh: &mut Interval, is_first: bool) -> Vec<TopicName> {
        if !is_first && !self.topics.may_change() {
            std::future::pending::<()>().await;
        }
        refresh.tick().await;
        self.topics.now().await
    }

    fn begin(
        &self,
        topic: &TopicName,
        writers: &mut Running,
        stop: &CancellationToken,
        reopen: &watch::Receiver<u64>,
    ) -> Result<(), ToolError> {
        let names = match FileNames::new(&self.naming, topic.as_str()) {
            Ok(names) => names,
            Err(error) => {
                error!(%topic, %error, "a topic is not written");
                return Ok(());
            }
        };
        let options = self.consuming.options(&self.settings, topic.clone(), self.channel.clone());
        let consumer = self.consuming.start(options)?;
        let spool = Spool::new(self.spool.clone(), names);
        let limit = usize::try_from(self.consuming.max_in_flight).unwrap_or(usize::MAX);
        info!(%topic, "writing a topic");
        let writer = TopicWriter::new(consumer, spool, limit, self.sync_interval, self.time_of_day.clone());
        writers.spawn(writer.run(stop.clone(), reopen.clone()));
        Ok(())
    }
}

fn judge(ended: Result<Result<(), SpoolError>, JoinError>) -> Result<(), ToolError> {
    match ended {
        Ok(outcome) => Ok(outcome.map_err(ToFileError::from)?),
        // Nothing aborts it.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
