//! The attempts that a session holds.

use std::collections::HashMap;

use punctual_proto::v1::HeldAttempt;
use punctual_proto::v1::heartbeat_response::AttemptRef;

use crate::cancellation::CancelReason;
use crate::context::Context;

/// The attempts granted to a session, by run, until their outcome is stored: a scheduler releases what a heartbeat
/// does not list, so an attempt stays listed while its report is on the way.
#[derive(Debug, Default)]
pub(crate) struct Held {
    by_run: HashMap<String, HeldOne>,
}

#[derive(Debug)]
struct HeldOne {
    context: Context,
    dispatch: u32,
    ended: bool,
}

impl Held {
    /// The dispatch that brought the attempt held at `run`.
    pub(crate) fn dispatch(&self, run: &str) -> Option<u32> {
        self.by_run.get(run).map(|held| held.dispatch)
    }

    /// An attempt was granted.
    pub(crate) fn add(&mut self, context: Context, dispatch: u32) {
        self.by_run.insert(context.run_id().to_owned(), HeldOne { context, dispatch, ended: false });
    }

    /// The attempt's handler has ended; the report follows. `false` when the attempt is not held.
    pub(crate) fn ended(&mut self, run: &str, attempt: u32) -> bool {
        let held = self.by_run.get_mut(run).filter(|held| held.context.attempt() == attempt);
        held.map(|held| held.ended = true).is_some()
    }

    /// The attempt's report has been answered, or is not to be made.
    pub(crate) fn remove(&mut self, run: &str, attempt: u32) {
        if self.by_run.get(run).is_some_and(|held| held.context.attempt() == attempt) {
            self.by_run.remove(run);
        }
    }

    /// Asks the handlers of `attempts` to stop. What has ended, or is not held, is left alone: the news are old.
    pub(crate) fn cancel(&self, attempts: &[AttemptRef], reason: CancelReason) {
        for asked in attempts {
            if let Some(held) = self.by_run.get(&asked.run_id)
                && held.context.attempt() == asked.attempt
                && !held.ended
            {
                tracing::info!(
                    run.id = asked.run_id,
                    attempt.number = asked.attempt,
                    ?reason,
                    "stopping an attempt"
                );
                held.context.cancellation().cancel(reason);
            }
        }
    }

    /// Asks every handler to stop.
    pub(crate) fn cancel_all(&self, reason: CancelReason) {
        for held in self.by_run.values().filter(|held| !held.ended) {
            held.context.cancellation().cancel(reason);
        }
    }

    /// What a heartbeat says about each.
    pub(crate) fn list(&self) -> impl Iterator<Item = HeldAttempt> {
        self.by_run.values().map(|held| {
            let progress = held.context.reported_progress();
            HeldAttempt {
                run_id: held.context.run_id().to_owned(),
                attempt: held.context.attempt(),
                progress: progress.fraction,
                progress_note: progress.note,
            }
        })
    }

    /// The runs whose handlers have not ended.
    pub(crate) fn executing(&self) -> impl Iterator<Item = &str> {
        self.by_run.values().filter(|held| !held.ended).map(|held| held.context.run_id())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_run.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use punctual_proto::v1::Granted;
    use tokio::time::Instant;

    use super::*;

    fn holding(run: &str, attempt: u32) -> (Held, Context) {
        let granted = Granted { run_id: run.into(), attempt, ..Default::default() };
        let context = Context::new(granted, Instant::now(), Duration::from_secs(1));
        let mut held = Held::default();
        held.add(context.clone(), 1);
        (held, context)
    }

    fn named(run: &str, attempt: u32) -> Vec<AttemptRef> {
        vec![AttemptRef { run_id: run.into(), attempt }]
    }

    #[track_caller]
    fn check(asked: Vec<AttemptRef>, expect: Option<CancelReason>) {
        let (held, context) = holding("a", 2);
        held.cancel(&asked, CancelReason::LeaseLost);
        assert_eq!(context.cancel_reason(), expect);
    }

    #[test]
    fn only_the_attempt_that_is_named_is_stopped() {
        check(named("a", 2), Some(CancelReason::LeaseLost));
        check(named("a", 1), None);
        check(named("a", 0), None);
        check(named("b", 2), None);
    }

    #[test]
    fn an_ended_attempt_is_listed_until_its_report_is_answered() {
        let (mut held, context) = holding("a", 2);
        context.progress(0.5, "half");
        assert!(!held.ended("a", 1));
        assert!(held.ended("a", 2));
        held.cancel(&named("a", 2), CancelReason::LeaseLost);
        assert_eq!(context.cancel_reason(), None);
        assert_eq!(held.executing().count(), 0);
        let listed: Vec<_> = held.list().collect();
        assert_eq!((listed[0].attempt, listed[0].progress), (2, Some(0.5)));
        held.remove("a", 1);
        assert!(!held.is_empty());
        held.remove("a", 2);
        assert!(held.is_empty());
    }
}
