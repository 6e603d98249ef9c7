//! The checker of Punctual's histories.
//!
//! Reads what happened to a system, as one recorder saw it, and says whether the guarantees held: every due
//! instant became exactly one run, every run ended, an attempt never ran under two tokens. It shares no code
//! with the system: it walks schedules, reads times and parses cron by itself, so that a mistake has to be made
//! twice, differently, to go unnoticed. [`history`] defines the input, [`verdict`] the output; [`check`] is all
//! there is between them.
//!
//! The properties, by name (each clause a variant of [`verdict::Clause`]):
//!
//! - **P1 materialisation**: complete (a), sound (b), unique (c), never early and not too late (d), edits (e).
//! - **P2 completion**: every run ends (a), a success really ran (b), a failure used up its tries (c), an
//!   accepted success stays one (d), nothing is cancelled or expires unasked (e).
//! - **P3 one live attempt**: numbers rise by one (a), a grant only after the end of the one before (b), no
//!   accepted report of an older attempt (d), code of two attempts never runs at once unexplained (e).
//! - **P4 overlap**: runs of a `skip` job are disjoint (a), and each skip has a live run to show for it (b).
//!
//! An operation whose outcome is unknown may have happened at any time after it was sent, or never; it is never
//! taken for a failure.

#![forbid(unsafe_code)]

pub mod history;
pub mod spec;
pub mod time;
pub mod verdict;

mod attempts;
mod completion;
mod cron;
mod definitions;
mod ledger;
mod materialisation;
mod overlap;
mod register;
mod requests;
mod walk;
mod windows;

use std::time::Duration;

use crate::history::{History, HistoryError};
use crate::ledger::Ledger;
use crate::verdict::Verdict;

/// How strictly to judge.
#[derive(Debug, Clone)]
pub struct Options {
    /// What falls due later than this before `quiesce` is not asked for yet.
    pub settle: Duration,
    /// How late a run may start, outside declared faults; `None` judges no lateness.
    pub lateness: Option<Duration>,
    /// How long a fault goes on being felt after it was declared over.
    pub recovery: Duration,
    /// How long before its instant a run may be admitted. From then on it is run as it was planned, whatever is
    /// changed, paused or deleted.
    pub admission_lead: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            settle: Duration::from_secs(5),
            lateness: None,
            recovery: Duration::from_secs(10),
            admission_lead: Duration::from_millis(50),
        }
    }
}

/// Judges a history.
///
/// # Errors
/// A history that cannot be judged: no clock reading, no `quiesce`, a `final` that counts other rows than are
/// there, or a definition that does not parse.
pub fn check(history: &History, options: &Options) -> Result<Verdict, HistoryError> {
    let ledger = Ledger::new(history, options)?;
    let mut verdict = Verdict::new(&ledger);
    materialisation::check(&ledger, options, &mut verdict);
    requests::check(&ledger, &mut verdict);
    completion::check(&ledger, &mut verdict);
    attempts::check(&ledger, &mut verdict);
    overlap::check(&ledger, &mut verdict);
    Ok(verdict)
}
