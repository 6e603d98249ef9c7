//! Punctual's scheduler: turns job definitions into runs, runs into messages, and reports into history.
//!
//! `store` holds all SQL behind the [`Store`](store::Store) trait. Around it stand four parts that know nothing of
//! each other: the planner writes due runs down ahead of time, the publisher admits and sends them when they fall
//! due, the reaper takes back what fell silent, and the API serves people and workers. Any number of replicas runs
//! side by side; whatever they must agree on is a row.
#![forbid(unsafe_code)]

pub mod api;
pub mod database_clock;
mod gauges;
pub mod nodes;
pub mod options;
pub mod planner;
pub mod publisher;
pub mod reaper;
pub mod reconciler;
pub mod server;
pub mod store;
pub mod wake;

pub use options::SchedulerOptions;
pub use server::{Scheduler, SchedulerError};
pub use store::{MIGRATOR, MigrateError, migrate};
