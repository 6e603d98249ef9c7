//! P4: a job that skips overlaps has none.

use std::collections::BTreeMap;

use crate::history::{RunRow, State};
use crate::ledger::Ledger;
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
    for pair in started.windows(2) {
        let ((_, ended, first), (next, _, second)) = (pair[0], pair[1]);
        if ended.is_none_or(|ended| ended > next) {
            verdict.add(Clause::P4a, format!("{job} has two live runs at {next}"), [first, second]);
        }
    }
}

/// The same by what the witness saw, which knows nothing of rows.
fn check_code_disjoint(ledger: &Ledger<'_>, job: &str, rows: &[(usize, &RunRow)], verdict: &mut Verdict) {
    let mut spans = Vec::new();
    for attempts in
        rows.iter().filter_map(|(_, row)| ledger.attempts_of(&row.run).map(|attempts| (&row.run, attempts)))
    {
        let (run, attempts) = attempts;
        for (start_line, start, att) in &attempts.starts {
            if let Some((end_line, end, _)) = attempts.ends.iter().find(|(_, _, ended)| ended == att) {
                spans.push((*start, *end, run, *start_line, *end_line));
            }
        }
    }
    spans.sort();
    for pair in spans.windows(2) {
        let ((_, end, run, _, end_line), (start, _, other, start_line, _)) = (pair[0], pair[1]);
        if start < end && run != other {
            verdict.add(
                Clause::P4a,
                format!("{job}: the code of two runs ran at once"),
                [start_line, end_line],
            );
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
