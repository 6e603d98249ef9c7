//! Schedules through the front door: known cases, and other ways of finding the same instants.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod against_cron;
mod clock_changes;
mod dialects;
mod every_zone;
mod minute_walk;
mod points_in_time;
mod previews;
mod properties;

use chrono::{DateTime, Utc};
use punctual_scheduler_domain::schedule::{Schedule, ScheduleSpec};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn schedule(cron: &str, zone: &str) -> Schedule {
    Schedule::compile(&ScheduleSpec::cron(cron, zone)).unwrap_or_else(|error| panic!("{error}"))
}
