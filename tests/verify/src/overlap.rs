//! P4: a job that skips overlaps has none.

use std::collections::BTreeMap;

use crate::history::{Outcome, RunRow, State};
use crate::ledger::{Ledger, Report};
use crate::time::{DbTime, Tick};
use crate::verdict::{Clause, Verdict};

pub(crate) fn check(ledger: &Ledger<'_>, verdict: &mut Verdict) {
    let mut by_job: BTreeMap<&str, Vec<(usize, &RunRow)>> = BTreeMap::new();
    for (line, row) in &ledger.rows {
        let skips = ledger.jobs.get(row.job.as_str()).is_some_and(|job| job.always_skips());
        if skips {
            by_job.entry(&row.job).or_default().push((*line, row));
        }
    }
    for (job, rows) in by_job {
        check_disjoint(job, &rows, verdict);
        check_code_disjoint(ledger, job, &rows, verdict);
        check_skips(job, &rows, verdict);
    }
}

/// From first start to end, retries and waits between them included.
fn check_disjoint(job: &str, rows: &[(usize, &RunRow)], verdict: &mut Verdict) {
    let mut started: Vec<_> =
        rows.iter().filter_map(|(line, row)| Some((row.started_at?, row.ended_at, *line))).collect();
    started.sort();
    let mut longest: Option<(Option<DbTime>, usize)> = None;
    for (start, ended, line) in started {
        if let Some((busy_until, first)) = longest
            && busy_until.is_none_or(|until| until > start)
        {
            verdict.add(Clause::P4a, format!("{job} has two live runs at {start}"), [first, line]);
        }
        // No end is the latest of all.
        if longest.is_none_or(|(until, _)| until.is_some_and(|until| ended.is_none_or(|ended| ended > until)))
        {
            longest = Some((ended, line));
        }
    }
}

/// The same by what the witness saw, which knows nothing of rows. Code of an attempt that was given up may outlive
/// it, as in P3e.
fn check_code_disjoint(ledger: &Ledger<'_>, job: &str, rows: &[(usize, &RunRow)], verdict: &mut Verdict) {
    let mut spans = Vec::new();
    for (_, row) in rows {
        let Some(attempts) = ledger.attempts_of(&row.run) else { continue };
        for (start_line, start, att) in &attempts.starts {
            let lost = |report: &Report| report.att == *att && report.status == Outcome::Lost;
            if attempts.reports.iter().any(lost) {
                continue;
            }
            if let Some((end_line, end, _)) = attempts.ends.iter().find(|(_, _, ended)| ended == att) {
                spans.push((*start, *end, &row.run, *start_line, *end_line));
            }
        }
    }
    spans.sort();
    let mut longest: Option<(Tick, &String, usize)> = None;
    for (start, end, run, start_line, end_line) in spans {
        if let Some((busy_until, other, line)) = longest
            && start < busy_until
            && run != other
        {
            verdict.add(Clause::P4a, format!("{job}: the code of two runs ran at once"), [start_line, line]);
        }
        if longest.is_none_or(|(until, ..)| end > until) {
            longest = Some((end, run, end_line));
        }
    }
}

/// Judged at its instant or later, so an earlier run must have been unfinished at its instant.
fn check_skips(job: &str, rows: &[(usize, &RunRow)], verdict: &mut Verdict) {
    for (line, skipped) in
        rows.iter().filter(|(_, row)| row.state == State::Skipped && row.reason == "overlap")
    {
        let live = rows.iter().any(|(_, other)| {
            other.state != State::Skipped
                && other.due_at < skipped.due_at
                && other.ended_at.is_none_or(|ended| ended >= skipped.due_at)
        });
        if !live {
            let text = format!("{job} at {} was skipped with no earlier run alive", skipped.due_at);
            verdict.add(Clause::P4b, text, [*line]);
        }
    }
}
