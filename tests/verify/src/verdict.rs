//! The output: which clauses were broken, and by what.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::history::{History, Origin, State};
use crate::ledger::Ledger;

/// A clause of a property. Named as in the head of the crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each has its sentence in `meaning`")]
pub enum Clause {
    P1a,
    P1b,
    P1c,
    P1d,
    P1e,
    P2a,
    P2b,
    P2c,
    P2d,
    P2e,
    P3a,
    P3b,
    P3d,
    P3e,
    P4a,
    P4b,
}

impl Clause {
    /// What it demands.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::P1a => "every due instant has its run, or a record of why not",
            Self::P1b => "every run was due, or asked for",
            Self::P1c => "no instant and no request has two runs",
            Self::P1d => "no run starts before it is due, or later than allowed",
            Self::P1e => "an edit ends what was planned under the old version",
            Self::P2a => "every run ends",
            Self::P2b => "what succeeded really ran to its end",
            Self::P2c => "what failed used up its tries",
            Self::P2d => "an accepted success stays one",
            Self::P2e => "nothing is cancelled or expires unasked",
            Self::P3a => "the attempts of a run count up by one",
            Self::P3b => "an attempt is granted only after the end of the one before",
            Self::P3d => "no report of an older attempt is accepted, and only one final one",
            Self::P3e => "a run's code never runs twice at once, but for an attempt that was given up",
            Self::P4a => "runs of a job that skips overlaps do not overlap",
            Self::P4b => "an instant is skipped only while an earlier run is unfinished",
        }
    }
}

/// One breach, with the fewest lines that show it.
#[derive(Debug, Clone)]
pub struct Violation {
    /// Which.
    pub clause: Clause,
    /// What happened, in a sentence.
    pub text: String,
    /// Line numbers of the history.
    pub lines: Vec<usize>,
}

/// What the checker found.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// In the order of the clauses.
    pub violations: Vec<Violation>,
    /// How much there was to judge.
    pub counts: Counts,
}

/// How much there was to judge: a verdict on nothing is worth nothing.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Jobs that were defined.
    pub jobs: usize,
    /// Instants that had to have a run.
    pub due: usize,
    /// Rows by state.
    pub runs: BTreeMap<&'static str, usize>,
    /// Instants that were only counted.
    pub missed: u64,
    /// Grants.
    pub attempts: usize,
    /// Starts that the witness saw.
    pub effects: usize,
    /// How long two attempts of one run ran side by side, explained ones included.
    pub overlapped: Duration,
    /// From due to the first start of scheduled runs, sorted.
    lateness_us: Vec<i64>,
}

impl Verdict {
    pub(crate) fn new(ledger: &Ledger<'_>) -> Self {
        let mut counts = Counts { jobs: ledger.jobs.len(), ..Counts::default() };
        for (_, row) in &ledger.rows {
            *counts.runs.entry(state_name(row.state)).or_default() += 1;
            if let (Origin::Schedule, Some(started)) = (row.origin, row.started_at) {
                counts.lateness_us.push(started.0 - row.due_at.0);
            }
        }
        counts.lateness_us.sort_unstable();
        counts.missed = ledger.missed.values().flatten().map(|missed| missed.count).sum();
        counts.attempts = ledger.attempts.values().map(|run| run.grants.len()).sum();
        counts.effects = ledger.attempts.values().map(|run| run.starts.len()).sum();
        Self { violations: Vec::new(), counts }
    }

    pub(crate) fn add(&mut self, clause: Clause, text: String, lines: impl IntoIterator<Item = usize>) {
        self.violations.push(Violation { clause, text, lines: lines.into_iter().collect() });
    }

    /// Whether every guarantee held.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// Whether this clause was broken.
    pub fn breaks(&self, clause: Clause) -> bool {
        self.violations.iter().any(|violation| violation.clause == clause)
    }

    /// For people: the counts, then up to `most` breaches of each clause with their lines.
    pub fn report(&self, history: &History, most: usize) -> String {
        let mut text = self.counts.to_string();
        let mut by_clause: BTreeMap<Clause, Vec<&Violation>> = BTreeMap::new();
        for violation in &self.violations {
            by_clause.entry(violation.clause).or_default().push(violation);
        }
        for (clause, violations) in &by_clause {
            text += &format!("\n{clause:?}: {} ({} times broken)\n", clause.meaning(), violations.len());
            for violation in violations.iter().take(most) {
                text += &format!("  - {}\n", violation.text);
                for line in &violation.lines {
                    let event = history.events.get(line.saturating_sub(1));
                    let event = event.and_then(|event| serde_json::to_string(event).ok()).unwrap_or_default();
                    text += &format!("      {line}: {event}\n");
                }
            }
            if violations.len() > most {
                text += &format!("  … and {} more\n", violations.len() - most);
            }
        }
        text += if self.is_clean() { "\nevery guarantee held\n" } else { "\nGUARANTEES WERE BROKEN\n" };
        text
    }
}

impl Counts {
    /// How late scheduled runs started: the share `quantile` (0 to 1) of them was no later. `None` without any.
    pub fn lateness(&self, quantile: f64) -> Option<Duration> {
        let last = self.lateness_us.len().checked_sub(1)?;
        let us = self.lateness_us[(last as f64 * quantile.clamp(0.0, 1.0)).round() as usize];
        Some(Duration::from_micros(us.max(0).unsigned_abs()))
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs: Vec<String> = self.runs.iter().map(|(state, count)| format!("{count} {state}")).collect();
        let runs = if runs.is_empty() { "none".to_owned() } else { runs.join(", ") };
        writeln!(
            f,
            "jobs {}, instants due {}, only counted {}, runs: {runs}",
            self.jobs, self.due, self.missed
        )?;
        writeln!(
            f,
            "attempts {}, starts seen by the witness {}, side by side {:?}",
            self.attempts, self.effects, self.overlapped
        )?;
        match (self.lateness(0.5), self.lateness(0.99), self.lateness(1.0)) {
            (Some(p50), Some(p99), Some(max)) => {
                writeln!(f, "due to start: p50 {p50:?}, p99 {p99:?}, max {max:?}")
            }
            _ => Ok(()),
        }
    }
}

fn state_name(state: State) -> &'static str {
    match state {
        State::Scheduled => "scheduled",
        State::Blocked => "blocked",
        State::Queued => "queued",
        State::Running => "running",
        State::Succeeded => "succeeded",
        State::Failed => "failed",
        State::Cancelled => "cancelled",
        State::Expired => "expired",
        State::Skipped => "skipped",
    }
}
