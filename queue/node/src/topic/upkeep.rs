//! What a topic's keeper does to the files, one thing at a time: checkpoints, and segments written anew.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use punctual_queue_log::error::LogError;
use punctual_queue_log::position::Position;
use tokio::task::{JoinError, JoinSet};

use super::Topic;
use super::compaction::{Replacement, Rewrite};
use crate::error::TopicError;
use crate::health::reason;

/// Checkpoints are this far apart at least, however fast segments fill.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);

/// How long after something happened to look whether segments are to be rewritten that no checkpoint has looked at.
const SURVEY_AFTER: Duration = Duration::from_secs(10);

/// See the module's words.
pub(super) struct Upkeep {
    topic: Arc<Topic>,
    job: JoinSet<Done>,
    checkpointed: Option<Position>,
    checkpoint_not_before: Instant,
    survey_at: Option<Instant>,
    /// Nothing has happened since the last survey but its end.
    surveyed: bool,
    plan: VecDeque<Rewrite>,
    /// Waits until nothing is read from the log.
    replacement: Option<Replacement>,
    /// Is being put in its place.
    replacing: Option<Arc<Replacement>>,
}

/// What a checkpoint leaves to do.
#[derive(Debug)]
pub(super) struct Checkpointed {
    /// The log before this place is contained in it.
    pub(super) position: Position,
    /// Segments that are to be rewritten now.
    pub(super) plan: VecDeque<Rewrite>,
}

/// Something that was done on a thread that may block.
pub(super) enum Done {
    Checkpoint(Result<Checkpointed, TopicError>),
    Surveyed(bool),
    Rewritten(Result<Replacement, TopicError>),
    Replaced(Result<(), TopicError>),
    /// Whichever it was.
    Panicked(JoinError),
}

impl Upkeep {
    pub(super) fn new(topic: Arc<Topic>) -> Self {
        Self {
            topic,
            job: JoinSet::new(),
            checkpointed: None,
            checkpoint_not_before: Instant::now() + CHECKPOINT_INTERVAL,
            survey_at: None,
            surveyed: false,
            plan: VecDeque::new(),
            replacement: None,
            replacing: None,
        }
    }

    /// Whether nothing may begin to be read from the log.
    pub(super) fn holds_up_loads(&self) -> bool {
        self.replacement.is_some() || self.replacing.is_some()
    }

    /// Begins what is to be done next; says when to come back. `loading` says whether the log is being read.
    pub(super) fn tend(&mut self, now: Instant, loading: bool) -> Option<Instant> {
        if !self.job.is_empty() {
            return None;
        }
        let topic = Arc::clone(&self.topic);
        if self.replacement.is_some() {
            if !loading && let Some(replacement) = self.replacement.take() {
                let replacement = Arc::new(replacement);
                self.replacing = Some(Arc::clone(&replacement));
                self.job.spawn_blocking(move || Done::Replaced(topic.replace(&replacement)));
            }
            return None;
        }
        let wants_checkpoint = self.wants_checkpoint();
        if wants_checkpoint && now >= self.checkpoint_not_before {
            self.plan.clear(); // the checkpoint makes a better one
            self.survey_at = None;
            topic.wants_checkpoint.store(false, Ordering::Relaxed);
            self.job.spawn_blocking(move || Done::Checkpoint(topic.checkpoint()));
            return None;
        }
        if let Some(rewrite) = self.plan.pop_front() {
            self.job.spawn_blocking(move || Done::Rewritten(rewrite.write(&topic.log)));
            return None;
        }
        let checkpoint_at = wants_checkpoint.then_some(self.checkpoint_not_before);
        match self.survey_at {
            Some(at) if at <= now => {
                self.survey_at = None;
                self.job.spawn_blocking(move || Done::Surveyed(topic.has_unwanted_segments()));
                checkpoint_at
            }
            at => {
                let is_quiet = std::mem::take(&mut self.surveyed);
                self.survey_at = at.or_else(|| (!is_quiet).then(|| now + SURVEY_AFTER));
                checkpoint_at.into_iter().chain(self.survey_at).min()
            }
        }
    }

    /// Waits for what was begun; `None` when nothing is. May be dropped and called again.
    pub(super) async fn next(&mut self) -> Option<Done> {
        Some(self.job.join_next().await?.unwrap_or_else(Done::Panicked))
    }

    pub(super) fn on_done(&mut self, done: Done) {
        let topic = Arc::clone(&self.topic);
        let name = &topic.name;
        match done {
            Done::Checkpoint(Ok(checkpointed)) => {
                self.checkpoint_not_before = Instant::now() + CHECKPOINT_INTERVAL;
                self.checkpointed = Some(checkpointed.position);
                self.plan = checkpointed.plan;
            }
            Done::Checkpoint(Err(TopicError::Deleted)) => {}
            Done::Checkpoint(Err(e)) => {
                self.checkpoint_not_before = Instant::now() + CHECKPOINT_INTERVAL;
                tracing::warn!(topic = %name, error = %e, "could not write a checkpoint; trying again");
                topic.want_checkpoint();
            }
            Done::Surveyed(true) => topic.want_checkpoint(),
            Done::Surveyed(false) => self.surveyed = true,
            Done::Rewritten(Ok(replacement)) => self.replacement = Some(replacement),
            Done::Rewritten(Err(TopicError::Log(e))) if topic.report_if_damage(&e) => {}
            Done::Replaced(Ok(())) => self.end_replacing(),
            Done::Rewritten(Err(e)) | Done::Replaced(Err(e)) => {
                self.end_replacing();
                self.plan.clear();
                if !topic.is_retired() {
                    let error = reason(&e);
                    tracing::warn!(topic = %name, error, "could not rewrite a segment; trying again later");
                }
            }
            Done::Panicked(e) => {
                tracing::error!(topic = %name, error = %e, "work on the files panicked; trying again later");
                self.end_replacing();
                self.plan.clear();
                // Should it have been the checkpoint, what asked for it is forgotten.
                self.checkpoint_not_before = Instant::now() + SURVEY_AFTER;
                topic.want_checkpoint();
            }
        }
    }

    /// Reading may go on. However the replacement ended: what tells is whether the new file is in its place.
    fn end_replacing(&mut self) {
        if let Some(replacement) = self.replacing.take() {
            self.topic.follow(&replacement);
        }
    }

    /// Whether a segment was filled since the last checkpoint, or one could be removed.
    fn wants_checkpoint(&self) -> bool {
        let topic = &self.topic;
        if topic.wants_checkpoint.load(Ordering::Relaxed) {
            return true;
        }
        let (first, end) = (topic.log.first_segment(), topic.log.end());
        let covered = self.checkpointed.map(|position| position.segment);
        let filled = covered.is_some_and(|covered| covered < end.segment)
            || covered.is_none() && first.is_some_and(|first| first < end.segment);
        filled || first.is_some_and(|first| first < end.segment) && first < Some(topic.needed().segment)
    }

    /// The last checkpoint before the process ends.
    pub(super) async fn finish(mut self) {
        while let Some(done) = self.next().await {
            self.on_done(done);
        }
        if self.topic.is_retired() {
            return;
        }
        let topic = Arc::clone(&self.topic);
        self.job.spawn_blocking(move || Done::Checkpoint(topic.checkpoint()));
        while let Some(done) = self.next().await {
            // The log has it all; the next start only takes longer.
            match done {
                Done::Checkpoint(Err(e)) => {
                    tracing::warn!(topic = %self.topic.name, error = %e, "could not write the last checkpoint");
                }
                Done::Panicked(e) => {
                    tracing::error!(topic = %self.topic.name, error = %e, "writing the last checkpoint panicked");
                }
                Done::Checkpoint(Ok(_)) | Done::Surveyed(_) | Done::Rewritten(_) | Done::Replaced(_) => {}
            }
        }
    }
}

impl Topic {
    /// Reports what stood in the way of reading the log, if it is that a part of it is damaged.
    fn report_if_damage(&self, error: &LogError) -> bool {
        let LogError::Damaged { range } = error else { return false };
        self.report_damage(*range);
        true
    }
}
