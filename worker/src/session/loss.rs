//! The end of a session that is not ours any more.

use std::time::Duration;

use punctual_proto::v1;
use tokio::time::Instant;

use super::reports::Reports;
use super::{Session, calls};
use crate::attempt::KILL_MARGIN;
use crate::cancellation::CancelReason;
use crate::inbox::Inbox;
use crate::meters;
use crate::schedulers::Schedulers;

/// Outcomes that a lost session could not report any more.
#[derive(Debug)]
pub(crate) struct Unreported {
    session: String,
    reports: Vec<v1::FinishAttemptRequest>,
}

impl Unreported {
    /// Offers them to the schedulers once more. They take what no reaper has acted on yet, and what has been done
    /// need not be done again.
    pub(crate) async fn offer(self, schedulers: &Schedulers) {
        let mut reports = Reports::new();
        self.reports.into_iter().for_each(|report| reports.add(report));
        while let Some((call, batch)) = reports.next_call(Instant::now()) {
            if let Err(error) = calls::report_to(schedulers, &self.session, &batch).await {
                tracing::warn!(%error, reports = batch.len(), "could not report outcomes of the session before");
            }
            reports.answered(call);
        }
    }
}

impl Session<'_> {
    /// Stops everything at once: another worker may start any of it. Returns what could not be reported.
    pub(super) async fn stop(&mut self, inbox: &mut Inbox, reason: &'static str) -> Unreported {
        tracing::warn!(
            session = self.id,
            reason,
            executing = self.attempts.len(),
            "session lost, stopping every handler"
        );
        meters::session_lost();
        self.site.health.set_ready("scheduler", false, format!("session lost: {reason}"));
        inbox.set_ready(0);
        for message in self.asks.take_all() {
            message.requeue(Duration::ZERO);
        }
        self.held.cancel_all(CancelReason::LeaseLost);
        let drop_at = self.lease.drop_at().min(Instant::now() + KILL_MARGIN);
        self.join_attempts(inbox, drop_at).await;
        self.attempts.abort_all();
        self.join_attempts(inbox, Instant::now() + KILL_MARGIN / 5).await;
        if !self.attempts.is_empty() {
            let runs: Vec<_> = self.held.executing().collect();
            tracing::error!(
                ?runs,
                "handlers that block their thread could not be stopped and go on without a lease"
            );
        }
        self.calls.abort_all();
        Unreported { session: self.id.clone(), reports: self.reports.take() }
    }

    /// Waits for the handlers until `limit`; messages that still arrive go back.
    async fn join_attempts(&mut self, inbox: &mut Inbox, limit: Instant) {
        loop {
            tokio::select! {
                done = self.attempts.join_next() => match done {
                    Some(done) => self.on_done(done),
                    None => return,
                },
                () = inbox.send_back() => return,
                () = tokio::time::sleep_until(limit) => return,
            }
        }
    }
}
