//! Runs as tables and lines.

use comfy_table::Cell;
use punctual_proto::v1::{Attempt, AttemptOutcome, Run, RunState};

use crate::output::{Style, between, details, instant, table};

/// The most characters of an error in a list.
const WHY_CHARS: usize = 60;

/// A line for each run.
pub(super) fn list(runs: &[Run], style: Style) -> String {
    if runs.is_empty() {
        return "No runs.".to_owned();
    }
    table(style, &HEADINGS, runs.iter().map(|run| row(run, style)))
}

/// The headings that go with [`row`].
pub(super) const HEADINGS: [&str; 8] = ["ID", "JOB", "STATE", "ATTEMPTS", "DUE", "LATE", "TOOK", "WHY"];

/// One run as a row of a table.
pub(super) fn row(run: &Run, style: Style) -> Vec<Cell> {
    vec![
        Cell::new(&run.id),
        Cell::new(what(run)),
        style.state(&state(run)),
        Cell::new(run.attempts),
        Cell::new(instant(run.due_at.as_ref())),
        Cell::new(late(run)),
        Cell::new(between(run.started_at.as_ref(), run.ended_at.as_ref())),
        Cell::new(why(run)),
    ]
}

/// One run as a line of a log.
pub(super) fn line(run: &Run) -> String {
    let due = instant(run.due_at.as_ref());
    let mut words = vec![due, what(run).to_owned(), state(run)];
    if run.attempts > 1 {
        words.push(format!("attempt {}", run.attempts));
    }
    let took = between(run.started_at.as_ref(), run.ended_at.as_ref());
    if !took.is_empty() {
        words.push(format!("took {took}"));
    }
    let why = why(run);
    if !why.is_empty() {
        words.push(format!("({why})"));
    }
    words.push(run.id.clone());
    words.join("  ")
}

/// Everything about one run.
pub(crate) fn one(run: &Run, style: Style) -> String {
    let mut rows = vec![
        ("Id", Cell::new(&run.id)),
        ("Namespace", Cell::new(&run.namespace)),
        ("Job", Cell::new(&run.job)),
        ("Job version", Cell::new(some(run.job_version))),
        ("Origin", Cell::new(origin(run))),
        ("Backfill", Cell::new(&run.backfill)),
        ("Upstream run", Cell::new(&run.upstream_run)),
        ("Again for", Cell::new(&run.retry_of)),
        ("State", style.state(&state(run))),
        ("Reason", Cell::new(&run.reason)),
        ("Kind", Cell::new(&run.kind)),
        ("Task queue", Cell::new(&run.task_queue)),
        ("Priority", Cell::new(some(run.priority))),
        ("Concurrency key", Cell::new(&run.concurrency_key)),
        ("Due", Cell::new(instant(run.due_at.as_ref()))),
        (
            "Run at",
            Cell::new(if run.run_at == run.due_at { String::new() } else { instant(run.run_at.as_ref()) }),
        ),
        ("Created", Cell::new(instant(run.created_at.as_ref()))),
        ("Started", Cell::new(instant(run.started_at.as_ref()))),
        ("Ended", Cell::new(instant(run.ended_at.as_ref()))),
        ("Took", Cell::new(between(run.started_at.as_ref(), run.ended_at.as_ref()))),
        ("Attempts", Cell::new(run.attempts)),
        ("Tries used", Cell::new(some(run.tries_used))),
        ("Error", Cell::new(&run.error)),
        ("Result", Cell::new(&run.result)),
        ("Progress", Cell::new(progress(run))),
        ("Cancel", Cell::new(if run.cancel_requested { "requested" } else { "" })),
    ];
    rows.retain(|(_, cell)| !cell.content().is_empty());
    let mut text = details(style, rows);
    for attempt in &run.attempt_history {
        text.push('\n');
        text.push_str(&one_attempt(attempt, style));
    }
    text
}

fn one_attempt(attempt: &Attempt, style: Style) -> String {
    let mut rows = vec![
        ("Attempt", Cell::new(attempt.number)),
        ("Outcome", style.state(&outcome(attempt))),
        ("Worker", Cell::new(&attempt.worker)),
        ("Started", Cell::new(instant(attempt.started_at.as_ref()))),
        ("Took", Cell::new(between(attempt.started_at.as_ref(), attempt.ended_at.as_ref()))),
        ("Error", Cell::new(&attempt.error)),
        ("Error kind", Cell::new(&attempt.error_kind)),
    ];
    rows.retain(|(_, cell)| !cell.content().is_empty());
    let mut text = details(style, rows);
    if !attempt.output_tail.is_empty() {
        text.push_str("Output:\n");
        for line in printable(&attempt.output_tail).lines() {
            text.push_str("  | ");
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// What became of a request to cancel.
pub(super) fn cancelled(run: &Run) -> String {
    if run.state() == RunState::Cancelled {
        format!("cancelled {}\n", run.id)
    } else {
        format!("asked {} to end; it is {} until its worker agrees\n", run.id, state(run))
    }
}

/// The run's state as people write it.
pub(super) fn state(run: &Run) -> String {
    match RunState::try_from(run.state) {
        Ok(state) => state.as_str_name().trim_start_matches("RUN_STATE_").to_lowercase(),
        Err(_) => run.state.to_string(),
    }
}

fn outcome(attempt: &Attempt) -> String {
    match AttemptOutcome::try_from(attempt.outcome) {
        Ok(AttemptOutcome::Unspecified) => "running".to_owned(),
        Ok(outcome) => outcome.as_str_name().trim_start_matches("ATTEMPT_OUTCOME_").to_lowercase(),
        Err(_) => attempt.outcome.to_string(),
    }
}

fn origin(run: &Run) -> String {
    run.origin().as_str_name().trim_start_matches("RUN_ORIGIN_").to_lowercase().replace('_', "-")
}

/// The job, or what stands in for one in a one-off run.
fn what(run: &Run) -> &str {
    if run.job.is_empty() { &run.kind } else { &run.job }
}

/// From due to started. A retry's start says nothing about that.
fn late(run: &Run) -> String {
    if run.attempts == 1 { between(run.due_at.as_ref(), run.started_at.as_ref()) } else { String::new() }
}

fn why(run: &Run) -> String {
    let why = match (run.state(), run.error.as_str(), run.reason.as_str()) {
        // Its error is that of an earlier attempt.
        (RunState::Succeeded, _, _) => "",
        // What went wrong says more than that the tries are used.
        (RunState::Failed, error, _) if !error.is_empty() => error,
        (_, error, "") => error,
        (_, _, reason) => reason,
    };
    let line = printable(why.lines().next().unwrap_or_default());
    match line.char_indices().nth(WHY_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn progress(run: &Run) -> String {
    match (run.progress > 0.0, run.progress_note.as_str()) {
        (false, note) => note.to_owned(),
        (true, "") => format!("{:.0} %", run.progress * 100.0),
        (true, note) => format!("{:.0} %, {note}", run.progress * 100.0),
    }
}

fn some(number: u32) -> String {
    if number == 0 { String::new() } else { number.to_string() }
}

/// What a program printed may hold codes that would take over the terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && c != '\n' && c != '\t' { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}

#[cfg(test)]
mod tests;
