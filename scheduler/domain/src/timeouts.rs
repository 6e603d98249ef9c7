//! The limits on a run's time, kept apart because they answer different questions.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::field::FieldError;

/// Limits on a run's time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// From due to the first start; `None`: as long as it takes.
    pub schedule_to_start: Option<Duration>,
    /// From due to the end, tries and waits included; `None`: as long as it takes.
    pub schedule_to_close: Option<Duration>,
    /// One attempt.
    pub start_to_close: Duration,
    /// From the request to cancel until the attempt is given up.
    pub cancel_grace: Duration,
}

impl Timeouts {
    /// No limit is longer: a year.
    pub const MOST: Duration = Duration::from_secs(366 * 86_400);
    /// No cancel waits longer for its worker.
    pub const MOST_CANCEL_GRACE: Duration = Duration::from_secs(86_400);

    /// When a run due at `due_at` must have started for the first time; `None`: whenever.
    pub fn start_deadline(&self, due_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.schedule_to_start.and_then(|limit| later(due_at, limit))
    }

    /// When a run due at `due_at` must have ended; `None`: whenever.
    pub fn close_deadline(&self, due_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.schedule_to_close.and_then(|limit| later(due_at, limit))
    }

    /// Checks that every limit is at least a millisecond and sanely short. `cancel_grace` may be zero.
    ///
    /// # Errors
    /// Each field that is out of bounds.
    pub fn validate(&self) -> Result<(), Vec<FieldError>> {
        let limits = [
            ("schedule_to_start", self.schedule_to_start),
            ("schedule_to_close", self.schedule_to_close),
            ("start_to_close", Some(self.start_to_close)),
        ];
        let mut errors = Vec::new();
        for (field, limit) in limits {
            let Some(limit) = limit else { continue };
            if limit < Duration::from_millis(1) {
                errors.push(FieldError::new(field, format!("{limit:?} is less than 1ms")));
            } else if limit > Self::MOST {
                errors.push(FieldError::new(field, format!("{limit:?} is more than 366 days")));
            }
        }
        if self.cancel_grace > Self::MOST_CANCEL_GRACE {
            errors
                .push(FieldError::new("cancel_grace", format!("{:?} is more than a day", self.cancel_grace)));
        }
        if let (Some(start), Some(close)) = (self.schedule_to_start, self.schedule_to_close)
            && start > close
        {
            let message =
                format!("{start:?} is more than schedule_to_close, {close:?}: it could never pass first");
            errors.push(FieldError::new("schedule_to_start", message));
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// `None` past the end of time, which is as good as no deadline.
fn later(due_at: DateTime<Utc>, limit: Duration) -> Option<DateTime<Utc>> {
    due_at.checked_add_signed(TimeDelta::from_std(limit).ok()?)
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            schedule_to_start: None,
            schedule_to_close: None,
            start_to_close: Duration::from_secs(3600),
            cancel_grace: Duration::from_secs(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(change: impl FnOnce(&mut Timeouts), fields: &[&str]) {
        let mut timeouts = Timeouts::default();
        change(&mut timeouts);
        let errors = timeouts.validate().err().unwrap_or_default();
        assert_eq!(errors.iter().map(|error| error.field.as_str()).collect::<Vec<_>>(), fields);
    }

    #[test]
    fn limits_are_positive_and_sane() {
        check(|_| {}, &[]);
        check(|t| t.start_to_close = Duration::ZERO, &["start_to_close"]);
        check(|t| t.start_to_close = Duration::MAX, &["start_to_close"]);
        check(|t| t.schedule_to_start = Some(Duration::ZERO), &["schedule_to_start"]);
        check(|t| t.schedule_to_close = Some(Timeouts::MOST), &[]);
        check(
            |t| t.schedule_to_close = Some(Timeouts::MOST + Duration::from_millis(1)),
            &["schedule_to_close"],
        );
        check(|t| t.cancel_grace = Duration::ZERO, &[]);
        check(|t| t.cancel_grace = Duration::MAX, &["cancel_grace"]);
        let both = |t: &mut Timeouts| {
            t.schedule_to_start = Some(Duration::from_secs(2));
            t.schedule_to_close = Some(Duration::from_secs(1));
        };
        check(both, &["schedule_to_start"]);
    }

    #[test]
    fn deadlines_count_from_the_nominal_instant() {
        let due: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
        let timeouts = Timeouts { schedule_to_start: Some(Duration::from_secs(90)), ..Timeouts::default() };
        assert_eq!(timeouts.start_deadline(due), Some("2026-01-01T00:01:30Z".parse().unwrap()));
        assert_eq!(timeouts.close_deadline(due), None);
        let endless = Timeouts { schedule_to_close: Some(Duration::MAX), ..Timeouts::default() };
        assert_eq!(endless.close_deadline(due), None);
    }
}
