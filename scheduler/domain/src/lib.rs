//! What Punctual decides, as pure code: which instants a schedule has, what becomes of a run at each event, when a
//! failed attempt is retried, which due runs are admitted.
//!
//! Nothing here reads a clock, waits, or does I/O: time comes in as an argument, decisions come out as data. The
//! store repeats each decision as a guarded statement, so that two schedulers cannot both act on it.

#![forbid(unsafe_code)]

pub mod id;
pub mod name;
pub mod word;

pub mod schedule;

pub mod calendar;

pub mod concurrency;
pub mod field;
pub mod job;
pub mod misfire;
pub mod priority;
pub mod retention;
pub mod retry;
pub mod timeouts;

pub mod after;
pub mod backfill;
pub mod plan;

pub mod audit;
pub mod explain;

pub mod run;

pub mod admission;

pub mod attempt;
