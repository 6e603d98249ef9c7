//! Writing down what was judged about due runs.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::admission::{BlockReason, How, Judged, Judgement, Verdict, replaced_by};
use punctual_scheduler_domain::attempt::{AttemptOutcome, AttemptReport};
use punctual_scheduler_domain::id::RunId;
use punctual_scheduler_domain::run::{RunEvent, RunState, Transition};
use sqlx::{Postgres, Transaction};

use super::conclude::{Conclusion, conclude};
use super::live::LiveRun;
use super::{PostgresStore, admit, cancel, keys};
use crate::store::{AdmitRequest, Admitted, StoreError};

type Tx = Transaction<'static, Postgres>;

/// What was judged, sorted by what it takes to write it down.
pub(super) struct Verdicts {
    now: DateTime<Utc>,
    admits: Vec<RunId>,
    places: Vec<(RunId, u32)>,
    blocks: Vec<(RunId, BlockReason)>,
    conclusions: Vec<Conclusion>,
    /// Attempts that are asked to end.
    requests: Vec<(LiveRun, String)>,
    skipped: u32,
    ended: u32,
    waiting: u32,
}

impl Verdicts {
    pub(super) fn of(judged: Judged, mut held: HashMap<RunId, LiveRun>, now: DateTime<Utc>) -> Self {
        let mut verdicts = Self {
            now,
            admits: Vec::new(),
            places: Vec::new(),
            blocks: Vec::new(),
            conclusions: Vec::new(),
            requests: Vec::new(),
            skipped: 0,
            ended: 0,
            waiting: 0,
        };
        for Judgement { run, verdict } in judged.judgements {
            match verdict {
                Verdict::Admit { place } => {
                    verdicts.admits.push(run);
                    verdicts.places.extend(place.map(|place| (run, place)));
                }
                Verdict::Skip(reason) => {
                    verdicts.skipped += 1;
                    verdicts.conclusions.push(unstarted(run, RunState::Skipped, reason.as_str().to_owned()));
                }
                Verdict::Replace(by) => {
                    verdicts.ended += 1;
                    verdicts.conclusions.push(unstarted(run, RunState::Cancelled, replaced_by(by)));
                }
                Verdict::Block(reason) => verdicts.blocks.push((run, reason)),
                Verdict::Wait(_) => verdicts.waiting += 1,
            }
        }
        for end in judged.ends {
            let Some(live) = held.remove(&end.run) else { continue };
            let event = match end.how {
                How::Killed => RunEvent::Killed,
                How::Cancelled | How::Replaced => RunEvent::CancelRequested,
            };
            match live.facts().on(event) {
                Transition::To(state) => {
                    let outcome = (live.state == RunState::Running).then_some(AttemptOutcome::Cancelled);
                    let conclusion = Conclusion { outcome, ..Conclusion::of(&live, state, &end.reason()) };
                    verdicts.conclusions.push(conclusion);
                }
                Transition::CancelPending => verdicts.requests.push((live, end.reason())),
                Transition::Stale => continue,
            }
            verdicts.ended += 1;
        }
        verdicts
    }

    /// Writes the verdicts down: those that wait first, so that the ends that follow find them; then the ends, which free
    /// places; then the admissions.
    pub(super) async fn apply(
        &self,
        store: &PostgresStore,
        tx: &mut Tx,
        request: &AdmitRequest,
        admitted: &mut Admitted,
    ) -> Result<(), StoreError> {
        block(tx, &self.blocks).await?;
        for (run, reason) in &self.requests {
            cancel::request(tx, run, reason).await?;
        }
        conclude(store, tx, &self.conclusions).await?;
        keys::take_places(tx, &self.places).await?;
        admitted.dispatches = admit::queue_runs(tx, request, &self.admits, self.now).await?;
        admitted.blocked = u32::try_from(self.blocks.len()).unwrap_or(u32::MAX);
        admitted.skipped = self.skipped;
        admitted.ended = self.ended;
        admitted.waiting += self.waiting;
        Ok(())
    }
}

async fn block(tx: &mut Tx, blocks: &[(RunId, BlockReason)]) -> Result<(), StoreError> {
    if blocks.is_empty() {
        return Ok(());
    }
    let (runs, reasons): (Vec<_>, Vec<_>) =
        blocks.iter().map(|(run, reason)| (run.0, reason.as_str().to_owned())).unzip();
    sqlx::query_file!("src/store/postgres/block_runs.sql", &runs, &reasons).execute(&mut **tx).await?;
    Ok(())
}

/// The end of a run that was never admitted, and so has had no attempt.
fn unstarted(run: RunId, to: RunState, reason: String) -> Conclusion {
    Conclusion {
        run,
        from: RunState::Scheduled,
        attempt: 0,
        to,
        reason,
        tries_used: 0,
        outcome: None,
        report: AttemptReport::default(),
    }
}
