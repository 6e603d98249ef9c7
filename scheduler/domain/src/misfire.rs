//! What becomes of instants that could not be planned in time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::field::FieldError;
use crate::word::words;

/// What happens to instants planned more than [`CatchUp::after`] past their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misfire {
    /// Counts them all.
    Skip,
    /// Runs the latest of them once, if it lies within the catch-up window; the others are counted.
    #[default]
    Latest,
    /// Runs those within the catch-up window, the latest [`CatchUp::limit`] of them; the others are counted.
    All,
}

words!(Misfire, "misfire policy", Skip => "skip", Latest => "latest", All => "all");

/// Why an instant became no run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissedReason {
    /// The misfire policy does not want it.
    Misfire,
    /// It is older than the catch-up window.
    CatchupWindow,
    /// There are more, later ones than the catch-up limit.
    CatchupLimit,
    /// An exclusion calendar covers it.
    Calendar,
}

words!(
    MissedReason, "reason why an instant became no run",
    Misfire => "misfire",
    CatchupWindow => "catchup_window",
    CatchupLimit => "catchup_limit",
    Calendar => "calendar",
);

/// When an instant counts as missed, and how far missed ones are made up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatchUp {
    /// How late an instant may be planned and still just run late.
    pub after: Duration,
    /// How old a missed instant may be and still be made up for.
    pub window: Duration,
    /// How many missed instants are made up for at once under [`Misfire::All`].
    pub limit: u32,
}

impl CatchUp {
    /// Within this, every instant runs, however many there are; so it is short.
    pub const MOST_AFTER: Duration = Duration::from_secs(3_600);
    /// A day less than what makes an instant one run is remembered.
    pub const MOST_WINDOW: Duration = Duration::from_secs(7 * 86_400);
    /// What planning holds in memory for one job.
    pub const MOST_LIMIT: u32 = 1_000;

    /// Whether nothing was said about it.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// How many missed instants are made up for under `misfire`.
    pub fn most(&self, misfire: Misfire) -> usize {
        match misfire {
            Misfire::Skip => 0,
            Misfire::Latest => 1,
            Misfire::All => usize::try_from(self.limit.clamp(1, Self::MOST_LIMIT)).unwrap_or(1),
        }
    }

    /// Checks the bounds that the types leave open.
    ///
    /// # Errors
    /// Each field that is out of bounds, as it is called in a job file.
    pub fn validate(&self) -> Result<(), Vec<FieldError>> {
        let mut errors = Vec::new();
        let second = Duration::from_secs(1);
        if !(second..=Self::MOST_AFTER).contains(&self.after) {
            errors.push(FieldError::new("misfire_after", format!("{:?} is not from 1s to 1h", self.after)));
        }
        if !(second..=Self::MOST_WINDOW).contains(&self.window) {
            let message = format!("{:?} is not from 1s to 7 days", self.window);
            errors.push(FieldError::new("catchup_window", message));
        } else if self.window < self.after {
            let message = format!(
                "{:?} is less than misfire_after ({:?}), so nothing would ever be made up for; for that say \
                 misfire: skip",
                self.window, self.after
            );
            errors.push(FieldError::new("catchup_window", message));
        }
        if !(1..=Self::MOST_LIMIT).contains(&self.limit) {
            let message = format!("{} is not from 1 to {}", self.limit, Self::MOST_LIMIT);
            errors.push(FieldError::new("catchup_limit", message));
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

impl Default for CatchUp {
    fn default() -> Self {
        Self { after: Duration::from_secs(60), window: Duration::from_secs(3_600), limit: 100 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(change: impl FnOnce(&mut CatchUp), field: Option<&str>) {
        let mut given = CatchUp::default();
        change(&mut given);
        let errors = given.validate().err().unwrap_or_default();
        assert_eq!(errors.iter().map(|error| error.field.as_str()).collect::<Vec<_>>(), field.as_slice());
    }

    #[test]
    fn bounds_are_checked_and_named_as_in_a_job_file() {
        let s = Duration::from_secs;
        check(|_| {}, None);
        check(|given| given.after = s(1), None);
        check(|given| given.after = s(3_600), None);
        check(|given| given.after = Duration::ZERO, Some("misfire_after"));
        check(|given| (given.after, given.window) = (s(3_601), s(7_200)), Some("misfire_after"));
        check(|given| given.window = s(7 * 86_400), None);
        check(|given| given.window = s(7 * 86_400 + 1), Some("catchup_window"));
        check(|given| given.window = s(59), Some("catchup_window"));
        check(|given| given.limit = 1_000, None);
        check(|given| given.limit = 0, Some("catchup_limit"));
        check(|given| given.limit = 1_001, Some("catchup_limit"));
    }
}
