//! P2: every run ends, and its end is true.

use crate::history::{Origin, Outcome, Phase, RunRow, State};
use crate::ledger::{Ledger, RunAttempts};
use crate::verdict::{Clause, Verdict};

pub(crate) fn check(ledger: &Ledger<'_>, verdict: &mut Verdict) {
    let none = RunAttempts::default();
    for (line, row) in &ledger.rows {
        let line = *line;
        let attempts = ledger.attempts_of(&row.run).unwrap_or(&none);
        let name = format!("{} {} due {}", row.job, row.run, row.due_at);
        if !row.state.is_final() && (row.due_at <= ledger.horizon || row.origin != Origin::Schedule) {
            verdict.add(Clause::P2a, format!("{name} is still {:?}", row.state), [line]);
        }
        let succeeded = attempts.reports.iter().find(|r| r.status == Outcome::Succeeded && r.ph == Phase::Ok);
        if let Some(report) = succeeded.filter(|_| row.state != State::Succeeded) {
            let text = format!("{name}: its success was accepted, yet it is {:?}", row.state);
            verdict.add(Clause::P2d, text, [report.line, line]);
        }
        match row.state {
            State::Succeeded => check_success(ledger, line, row, attempts, &name, verdict),
            State::Failed => check_failure(ledger, line, row, &name, verdict),
            State::Cancelled => {
                let deleted = ledger.jobs.get(row.job.as_str()).is_some_and(|job| !job.deleted.is_empty());
                if !deleted && !ledger.cancels.contains_key(row.run.as_str()) {
                    verdict.add(
                        Clause::P2e,
                        format!("{name} was cancelled, and nobody asked for it"),
                        [line],
                    );
                }
            }
            State::Expired => {
                let job = ledger.jobs.get(row.job.as_str());
                if job.is_some_and(|job| !job.specs().any(|spec| spec.may_expire)) {
                    verdict.add(Clause::P2e, format!("{name} expired, and has no such time-out"), [line]);
                }
            }
            State::Scheduled | State::Blocked | State::Queued | State::Running | State::Skipped => {}
        }
    }
}

/// The code of the attempt that is said to have succeeded must have ended, and before that was stored.
fn check_success(
    ledger: &Ledger<'_>,
    line: usize,
    row: &RunRow,
    attempts: &RunAttempts<'_>,
    name: &str,
    verdict: &mut Verdict,
) {
    if !ledger.is_witnessed(&row.job) {
        return;
    }
    let report = attempts.reports.iter().find(|r| r.status == Outcome::Succeeded && r.ph == Phase::Ok);
    let att = report.map_or(row.attempts, |report| report.att);
    let stored = report.map(|report| report.at).or(row.ended_at);
    let Some((end, ts, _)) = attempts.ends.iter().find(|(_, _, ended)| *ended == att) else {
        verdict.add(Clause::P2b, format!("{name} succeeded, but attempt {att} was not seen to end"), [line]);
        return;
    };
    if stored.is_some_and(|stored| ledger.clock.earliest(*ts) > stored) {
        verdict.add(
            Clause::P2b,
            format!("{name} was stored as a success before its code ended"),
            [line, *end],
        );
    }
}

fn check_failure(ledger: &Ledger<'_>, line: usize, row: &RunRow, name: &str, verdict: &mut Verdict) {
    let Some(job) = ledger.jobs.get(row.job.as_str()) else { return };
    let fewest = job.specs().map(|spec| spec.tries()).min().unwrap_or(1);
    if !row.permanent && row.tries_used < fewest {
        let text = format!("{name} failed after {} of {fewest} tries", row.tries_used);
        verdict.add(Clause::P2c, text, [line]);
    }
}
