//! The time of day, handed to whoever needs it.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, FixedOffset, Local};

/// Tells the time of day, in the zone in which people read it. Cheap to clone.
#[derive(Clone)]
pub struct TimeOfDay(Arc<dyn Fn() -> DateTime<FixedOffset> + Send + Sync>);

impl TimeOfDay {
    /// What `now` says.
    pub fn told_by(now: impl Fn() -> DateTime<FixedOffset> + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// That of the machine, in its zone.
    #[expect(clippy::disallowed_methods, reason = "the one place where the time of day enters")]
    pub fn local() -> Self {
        Self::told_by(|| Local::now().fixed_offset())
    }

    /// The time of day now. It may go backwards: the machine's clock can be set.
    pub fn now(&self) -> DateTime<FixedOffset> {
        (self.0)()
    }
}

impl fmt::Debug for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TimeOfDay").field(&self.now()).finish()
    }
}
