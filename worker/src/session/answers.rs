//! What a session makes of the schedulers' answers.

use std::time::Duration;

use punctual_proto::v1;
use punctual_proto::v1::batch_finish_attempts_response::Answer as ReportAnswer;
use punctual_queue_client::consumer::Delivery;
use tokio::task::JoinError;
use tokio::time::Instant;

use super::Session;
use super::asks::Decision;
use super::calls::Answer;
use crate::cancellation::CancelReason;
use crate::inbox::Inbox;
use crate::meters;
use crate::schedulers::CallError;

impl Session<'_> {
    /// Acts on an answer; `now` is when it came.
    pub(super) fn on_answer(&mut self, answer: Result<Answer, JoinError>, inbox: &Inbox, now: Instant) {
        match answer {
            Ok(Answer::Start { sent, runs, answers }) => self.on_start(sent, &runs, answers, inbox, now),
            Ok(Answer::Beat { sent, answer }) => self.on_beat(sent, answer, now),
            Ok(Answer::Report { call, batch, answers }) => self.on_report(call, &batch, answers, now),
            Ok(Answer::Release { run, attempt }) => self.held.remove(&run, attempt),
            // A bug: without an answer nobody knows any more what is held.
            Err(error) => {
                tracing::error!(%error, "a call to a scheduler ended by itself");
                self.lost.get_or_insert("a call ended by itself");
            }
        }
    }

    fn on_start(
        &mut self,
        sent: Instant,
        runs: &[String],
        answers: Result<v1::BatchStartAttemptsResponse, CallError>,
        inbox: &Inbox,
        now: Instant,
    ) {
        self.start_calls -= 1;
        let decisions: Vec<_> = match answers {
            Ok(answers) => {
                let pairs = runs.iter().zip(answers.answers);
                pairs.map(|(run, answer)| self.asks.answered(run, answer.answer, now)).collect()
            }
            Err(error) => {
                self.notice("could not ask for attempts", &error);
                let given_up = self.asks.unanswered(runs, now);
                self.asks.messages(runs).for_each(Delivery::touch);
                given_up.into_iter().map(|(message, delay)| Decision::Requeue(message, delay)).collect()
            }
        };
        for decision in &decisions {
            match decision {
                Decision::Execute { .. } => self.places.start(),
                Decision::Finish(_) | Decision::Requeue(..) | Decision::SessionLost(_) => {
                    self.places.give_back()
                }
                Decision::Wait => {}
            }
        }
        self.say_ready(inbox);
        for decision in decisions {
            self.carry_out(decision, sent, now);
        }
    }

    fn carry_out(&mut self, decision: Decision<Delivery>, asked: Instant, now: Instant) {
        match decision {
            Decision::Execute { message, granted, dispatch, received } => {
                meters::doorbell("granted");
                meters::started(now - received);
                message.finish();
                self.execute(granted, dispatch, asked);
            }
            Decision::Finish(message) => {
                meters::doorbell("gone");
                message.finish();
            }
            Decision::Requeue(message, delay) => {
                meters::doorbell("given_back");
                message.requeue(delay);
            }
            Decision::SessionLost(message) => {
                meters::doorbell("given_back");
                message.requeue(Duration::ZERO);
                self.lost.get_or_insert("the schedulers have ended it");
            }
            Decision::Wait => {}
        }
    }

    fn on_beat(&mut self, sent: Instant, answer: Result<v1::HeartbeatResponse, CallError>, now: Instant) {
        self.beating = false;
        match answer {
            Ok(answer) => {
                self.lease.beat_answered(sent);
                self.held.cancel(&answer.cancel, CancelReason::Requested);
                self.held.cancel(&answer.lost, CancelReason::LeaseLost);
            }
            Err(error) => {
                self.lease.beat_unanswered(now);
                self.notice("could not send a heartbeat", &error);
            }
        }
    }

    fn on_report(
        &mut self,
        call: u64,
        batch: &[v1::FinishAttemptRequest],
        answers: Result<v1::BatchFinishAttemptsResponse, CallError>,
        now: Instant,
    ) {
        let answers = match answers {
            Ok(answers) => answers,
            Err(error) => {
                self.notice("could not report outcomes", &error);
                return self.reports.unanswered(call, now);
            }
        };
        self.reports.answered(call);
        for (report, answer) in batch.iter().zip(answers.answers()) {
            let (run, attempt) = (&report.run_id, report.attempt);
            match answer {
                ReportAnswer::Stored => {}
                ReportAnswer::StaleAttempt | ReportAnswer::UnknownRun => {
                    tracing::info!(
                        run.id = run,
                        attempt.number = attempt,
                        ?answer,
                        "an outcome came too late"
                    );
                }
                ReportAnswer::Unspecified | ReportAnswer::Invalid => {
                    tracing::error!(
                        run.id = run,
                        attempt.number = attempt,
                        ?answer,
                        "an outcome was not accepted"
                    );
                }
            }
            self.held.remove(run, attempt);
        }
    }

    /// Logs a call's failure; one of them means that the session is gone.
    fn notice(&mut self, what: &'static str, error: &CallError) {
        if matches!(error, CallError::Refused(status) if status.code() == tonic::Code::NotFound) {
            self.lost.get_or_insert("the schedulers have ended it");
        } else {
            tracing::warn!(%error, what, "trying again");
        }
    }
}
