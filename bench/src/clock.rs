//! The time of day, which the bench shares with the Postgres that it measures: they are on one machine.

use chrono::{DateTime, Utc};

/// Now.
pub(crate) fn now() -> DateTime<Utc> {
    #[expect(clippy::disallowed_methods, reason = "the one place where the bench reads the time of day")]
    Utc::now()
}
