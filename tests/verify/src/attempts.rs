//! P3: at most one live attempt of a run.

use std::time::Duration;

use crate::history::{Outcome, Phase};
use crate::ledger::{Grant, Ledger, Report, RunAttempts};
use crate::time::Tick;
use crate::verdict::{Clause, Verdict};

pub(crate) fn check(ledger: &Ledger<'_>, verdict: &mut Verdict) {
    // A history may come without attempts; one that has some has all.
    if ledger.attempts.values().all(|attempts| attempts.grants.is_empty()) {
        return;
    }
    for (run, attempts) in &ledger.attempts {
        check_numbers(run, attempts, verdict);
        for pair in attempts.grants.windows(2) {
            check_hand_over(ledger, run, attempts, &pair[0], &pair[1], verdict);
        }
        check_reports(run, attempts, verdict);
        check_code(run, attempts, verdict);
    }
    for (line, row) in &ledger.rows {
        let granted = ledger.attempts_of(&row.run).map_or(0, |attempts| attempts.grants.len());
        if granted != row.attempts as usize {
            let text = format!("run {} counts {} attempts, {granted} were granted", row.run, row.attempts);
            verdict.add(Clause::P3a, text, [*line]);
        }
    }
}

fn check_numbers(run: &str, attempts: &RunAttempts<'_>, verdict: &mut Verdict) {
    let mut before: Option<&Grant<'_>> = None;
    for grant in &attempts.grants {
        let expected = before.map_or(1, |grant| grant.att + 1);
        if grant.att != expected {
            let text = format!("run {run}: attempt {} was granted where {expected} comes next", grant.att);
            verdict.add(Clause::P3a, text, before.map(|grant| grant.line).into_iter().chain([grant.line]));
        }
        before = Some(grant);
    }
}

fn check_hand_over(
    ledger: &Ledger<'_>,
    run: &str,
    attempts: &RunAttempts<'_>,
    earlier: &Grant<'_>,
    later: &Grant<'_>,
    verdict: &mut Verdict,
) {
    let end = attempts.reports.iter().find(|report| report.att == earlier.att && report.ph == Phase::Ok);
    match end {
        Some(end) if end.at > later.at => {
            let text = format!("run {run}: attempt {} was granted while {} was live", later.att, earlier.att);
            verdict.add(Clause::P3b, text, [earlier.line, later.line, end.line]);
        }
        None => {
            let text =
                format!("run {run}: attempt {} was granted, and {} never ended", later.att, earlier.att);
            verdict.add(Clause::P3b, text, [earlier.line, later.line]);
        }
        // An end that the holder did not report itself must have waited for its lease.
        Some(end) if end.status == Outcome::Lost && later.session != earlier.session => {
            let live_until = ledger.renewals.get(earlier.session).and_then(|renewals| {
                renewals.iter().map(|(sent, ttl_ms)| Tick(sent.0 + (*ttl_ms as i64) * 1_000_000)).max()
            });
            if live_until.is_some_and(|until| later.ts < until) {
                let text = format!(
                    "run {run}: attempt {} was granted within the lease of {}",
                    later.att, earlier.att
                );
                verdict.add(Clause::P3b, text, [earlier.line, end.line, later.line]);
            }
        }
        Some(_) => {}
    }
}

fn check_reports(run: &str, attempts: &RunAttempts<'_>, verdict: &mut Verdict) {
    let accepted: Vec<&Report> = attempts.reports.iter().filter(|report| report.ph == Phase::Ok).collect();
    for (index, report) in accepted.iter().enumerate() {
        if let Some(newer) =
            attempts.grants.iter().find(|grant| grant.att > report.att && grant.at < report.at)
        {
            let text =
                format!("run {run}: a report of attempt {} was accepted after {}", report.att, newer.att);
            verdict.add(Clause::P3d, text, [newer.line, report.line]);
        }
        if let Some(other) = accepted[..index].iter().find(|other| other.att == report.att) {
            let text = format!("run {run}: attempt {} ended twice", report.att);
            verdict.add(Clause::P3d, text, [other.line, report.line]);
        }
        if !attempts.grants.iter().any(|grant| grant.att == report.att) {
            let text = format!("run {run}: attempt {} ended and was never granted", report.att);
            verdict.add(Clause::P3d, text, [report.line]);
        }
        let successes = accepted[..index].iter().filter(|other| other.status == Outcome::Succeeded);
        if let Some(first) = successes.into_iter().next() {
            let text = format!("run {run}: attempt {} ended after a success", report.att);
            verdict.add(Clause::P3d, text, [first.line, report.line]);
        }
    }
}

/// What the witness saw: each attempt's code at most once, and two attempts side by side only when the earlier
/// one had been given up.
fn check_code(run: &str, attempts: &RunAttempts<'_>, verdict: &mut Verdict) {
    for (index, (line, _, att)) in attempts.starts.iter().enumerate() {
        if let Some((first, ..)) = attempts.starts[..index].iter().find(|(_, _, other)| other == att) {
            verdict.add(Clause::P3e, format!("run {run}: attempt {att} ran twice"), [*first, *line]);
        }
        if !attempts.grants.iter().any(|grant| grant.att == *att) {
            verdict.add(Clause::P3e, format!("run {run}: attempt {att} ran and was never granted"), [*line]);
        }
    }
    for (start_line, start, att) in &attempts.starts {
        let Some((end_line, end, _)) = attempts.ends.iter().find(|(_, _, ended)| ended == att) else {
            continue;
        };
        for (other_line, other, other_att) in &attempts.starts {
            if other_att <= att || !(*start..*end).contains(other) {
                continue;
            }
            let together = Duration::from_nanos(end.0.abs_diff(other.0));
            verdict.counts.overlapped += together;
            let given_up = attempts
                .reports
                .iter()
                .any(|report| report.att == *att && report.ph == Phase::Ok && report.status == Outcome::Lost);
            if !given_up {
                let text =
                    format!("run {run}: attempts {att} and {other_att} ran side by side for {together:?}");
                verdict.add(Clause::P3e, text, [*start_line, *other_line, *end_line]);
            }
        }
    }
}
