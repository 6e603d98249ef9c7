use std::collections::HashMap;

use punctual_proto::v1::{Run, RunState};

use super::show;
use crate::output::{Style, table};

/// How many final runs are remembered. More than any terminal has lines.
const KEEP_FINAL: usize = 500;

/// The runs of a stream, as a table that is drawn anew when something changed.
#[derive(Debug, Default)]
pub(super) struct Board {
    runs: HashMap<String, Run>,
    /// How many reached a final state since the start, by state.
    ended: HashMap<String, u64>,
}

impl Board {
    /// Takes a run as it is now. Says whether that is news: a stream that was opened anew repeats what it knows.
    pub(super) fn take(&mut self, run: Run) -> bool {
        let earlier = self.runs.get(&run.id);
        if earlier == Some(&run) {
            return false;
        }
        if is_final(&run) && !earlier.is_some_and(is_final) {
            *self.ended.entry(show::state(&run)).or_default() += 1;
        }
        self.runs.insert(run.id.clone(), run);
        if self.runs.len() > 2 * KEEP_FINAL {
            self.forget();
        }
        true
    }

    /// The table, in at most `height` lines: what runs, then what is next, then what ended, latest first.
    pub(super) fn draw(&self, style: Style, height: usize) -> String {
        let mut runs: Vec<&Run> = self.runs.values().collect();
        let rows = height.saturating_sub(3).max(1);
        // Of the runs that only wait for their time, the next few say enough.
        let waiting = (rows / 4).max(1);
        runs.sort_by_key(|run| (due(run), run.id.clone()));
        let (ahead, begun): (Vec<&Run>, Vec<&Run>) = runs.into_iter().partition(|run| is_ahead(run));
        let mut shown: Vec<&Run> = ahead.into_iter().take(waiting).collect();
        let left = rows - shown.len();
        shown.extend(begun.iter().skip(begun.len().saturating_sub(left)));
        shown.sort_by_key(|run| (is_ahead(run), due(run), run.id.clone()));
        shown.reverse();
        // Lines are cut at the edge of a narrow terminal: of all columns the ids are missed least.
        let mut headings = show::HEADINGS;
        headings.rotate_left(1);
        let rows = shown.into_iter().map(|run| {
            let mut row = show::row(run, style);
            row.rotate_left(1);
            row
        });
        let mut text = table(style, &headings, rows);
        text.push('\n');
        text.push_str(&self.tally());
        text.push('\n');
        text
    }

    fn tally(&self) -> String {
        let mut counts: Vec<_> = self.ended.iter().collect();
        counts.sort();
        let counts: Vec<String> =
            counts.into_iter().map(|(state, count)| format!("{count} {state}")).collect();
        let waiting = self.runs.values().filter(|run| is_ahead(run)).count();
        let active = self.runs.values().filter(|run| !is_final(run) && !is_ahead(run)).count();
        let ended = if counts.is_empty() { "none ended yet".to_owned() } else { counts.join(", ") };
        format!("{active} under way, {waiting} planned; {ended}")
    }

    /// Drops the oldest final runs.
    fn forget(&mut self) {
        let mut done: Vec<(_, String)> =
            self.runs.values().filter(|run| is_final(run)).map(|run| (due(run), run.id.clone())).collect();
        done.sort_by(|a, b| b.cmp(a));
        for (_, id) in done.into_iter().skip(KEEP_FINAL) {
            self.runs.remove(&id);
        }
    }
}

/// Whether the run will change no more.
pub(super) fn is_final(run: &Run) -> bool {
    match run.state() {
        RunState::Succeeded
        | RunState::Failed
        | RunState::Cancelled
        | RunState::Expired
        | RunState::Skipped => true,
        RunState::Unspecified
        | RunState::Scheduled
        | RunState::Blocked
        | RunState::Queued
        | RunState::Running => false,
    }
}

/// Whether the run only waits for its time to come.
pub(super) fn is_ahead(run: &Run) -> bool {
    run.state() == RunState::Scheduled && run.attempts == 0
}

fn due(run: &Run) -> (i64, i32) {
    run.due_at.map(|at| (at.seconds, at.nanos)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
