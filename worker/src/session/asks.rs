//! The doorbells that wait for a scheduler's answer.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use punctual_proto::v1::gone::Reason;
use punctual_proto::v1::start_attempt_response::Answer;
use punctual_proto::v1::{Doorbell, Granted, NotDue};
use tokio::time::Instant;

/// How long a worker keeps a message that no scheduler answers for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest wait that is sat out here; a longer one is the queue's.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// The longest delay that a stock nsqd takes.
const LONGEST_DELAY: Duration = Duration::from_secs(3_600);

/// How soon an unanswered question is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// How long a message goes back for when this worker cannot ask, or must not ask yet.
const BACK_FOR: Duration = Duration::from_secs(1);

/// Messages received and not yet granted, by run: the message itself is an `M`.
#[derive(Debug)]
pub(crate) struct Asks<M> {
    by_run: HashMap<String, Ask<M>>,
    waiting: VecDeque<String>,
    later: BTreeSet<(Instant, String)>,
}

#[derive(Debug)]
struct Ask<M> {
    message: M,
    dispatch: u32,
    received: Instant,
}

/// What to do with a message now.
#[derive(Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly every decision is to execute")]
pub(crate) enum Decision<M> {
    /// Finish the message, then execute; the message was received at the given time, for this dispatch.
    Execute { message: M, granted: Granted, dispatch: u32, received: Instant },
    /// Finish the message: there is nothing to do.
    Finish(M),
    /// Give it back to the queue for this long.
    Requeue(M, Duration),
    /// Give it back at once, and end the session.
    SessionLost(M),
    /// Nothing: it will be asked for again.
    Wait,
}

impl<M> Asks<M> {
    pub(crate) fn new() -> Self {
        Self { by_run: HashMap::new(), waiting: VecDeque::new(), later: BTreeSet::new() }
    }

    /// The dispatch that is being asked for.
    pub(crate) fn dispatch(&self, run: &str) -> Option<u32> {
        self.by_run.get(run).map(|ask| ask.dispatch)
    }

    /// Adds a doorbell whose run is not here yet.
    pub(crate) fn add(&mut self, doorbell: Doorbell, message: M, now: Instant) {
        debug_assert!(!self.by_run.contains_key(&doorbell.run_id), "one question per run");
        let ask = Ask { message, dispatch: doorbell.dispatch, received: now };
        self.waiting.push_back(doorbell.run_id.clone());
        self.by_run.insert(doorbell.run_id, ask);
    }

    /// Up to `limit` questions to ask now, as run and dispatch, oldest first.
    pub(crate) fn next_batch(&mut self, limit: usize, now: Instant) -> Vec<(String, u32)> {
        while let Some((at, _)) = self.later.first()
            && *at <= now
            && let Some((_, run)) = self.later.pop_first()
        {
            self.waiting.push_back(run);
        }
        let mut batch = Vec::new();
        while batch.len() < limit
            && let Some(run) = self.waiting.pop_front()
        {
            if let Some(dispatch) = self.dispatch(&run) {
                batch.push((run, dispatch));
            }
        }
        batch
    }

    /// When the next question falls due that is not asked at once.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.later.first().map(|(at, _)| *at)
    }

    /// Judges the answer for a run; `None` in it stands for an answer this worker does not know.
    pub(crate) fn answered(&mut self, run: &str, answer: Option<Answer>, now: Instant) -> Decision<M> {
        if let Some(Answer::NotDue(not_due)) = &answer
            && wait_of(not_due) <= LONGEST_WAIT
        {
            return self.ask_later(run, now + wait_of(not_due), now);
        }
        let Some(ask) = self.by_run.remove(run) else { return Decision::Wait };
        let Ask { message, dispatch, received } = ask;
        match answer {
            Some(Answer::Granted(granted)) => Decision::Execute { message, granted, dispatch, received },
            Some(Answer::Gone(gone)) => match gone.reason() {
                Reason::SessionLost => Decision::SessionLost(message),
                Reason::Unspecified
                | Reason::UnknownRun
                | Reason::NotQueued
                | Reason::Held
                | Reason::Superseded => Decision::Finish(message),
            },
            Some(Answer::NotDue(not_due)) => Decision::Requeue(message, wait_of(&not_due).min(LONGEST_DELAY)),
            // A scheduler of another release: its answer may mean anything, so the message must live on.
            None => Decision::Requeue(message, BACK_FOR),
        }
    }

    /// No scheduler answered for `runs`: those received too long ago are returned, to be given back for the
    /// returned time; the others will be asked for again.
    pub(crate) fn unanswered(&mut self, runs: &[String], now: Instant) -> Vec<(M, Duration)> {
        let decisions: Vec<_> = runs.iter().map(|run| self.ask_later(run, now + ASK_AGAIN, now)).collect();
        decisions
            .into_iter()
            .filter_map(|decision| match decision {
                Decision::Requeue(message, delay) => Some((message, delay)),
                _ => None,
            })
            .collect()
    }

    fn ask_later(&mut self, run: &str, at: Instant, now: Instant) -> Decision<M> {
        let Some(ask) = self.by_run.get(run) else { return Decision::Wait };
        if now < ask.received + PATIENCE {
            self.later.insert((at, run.to_owned()));
            return Decision::Wait;
        }
        match self.by_run.remove(run) {
            Some(ask) => Decision::Requeue(ask.message, BACK_FOR),
            None => Decision::Wait,
        }
    }

    /// Takes out what has not been asked for yet, or is to be asked again.
    pub(crate) fn take_unasked(&mut self) -> Vec<M> {
        let later = std::mem::take(&mut self.later).into_iter().map(|(_, run)| run);
        let runs: Vec<_> = self.waiting.drain(..).chain(later).collect();
        runs.iter().filter_map(|run| self.by_run.remove(run)).map(|ask| ask.message).collect()
    }

    /// Takes out everything.
    pub(crate) fn take_all(&mut self) -> Vec<M> {
        self.waiting.clear();
        self.later.clear();
        self.by_run.drain().map(|(_, ask)| ask.message).collect()
    }

    /// Every run asked for or to be asked for.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &String> {
        self.by_run.keys()
    }

    /// The messages of `runs`.
    pub(crate) fn messages(&self, runs: &[String]) -> impl Iterator<Item = &M> {
        runs.iter().filter_map(|run| self.by_run.get(run)).map(|ask| &ask.message)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_run.is_empty()
    }
}

fn wait_of(not_due: &NotDue) -> Duration {
    not_due.wait.and_then(|wait| Duration::try_from(wait).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
