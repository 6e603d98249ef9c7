//! What the store takes and gives about calendars and namespaces.

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::calendar::CalendarSpec;
use punctual_scheduler_domain::name::{CalendarName, Namespace};
use punctual_scheduler_domain::retention::Retention;

/// A calendar as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedCalendar {
    /// Where.
    pub namespace: Namespace,
    /// Unique there.
    pub name: CalendarName,
    /// What it holds.
    pub spec: CalendarSpec,
    /// When it was first put.
    pub created_at: DateTime<Utc>,
    /// When it was last put.
    pub updated_at: DateTime<Utc>,
}

/// A namespace as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceRecord {
    /// Its name.
    pub name: Namespace,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// How long history is kept of runs whose jobs do not say.
    pub retention: Retention,
}
