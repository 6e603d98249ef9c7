//! The tools against our own node and lookup.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod servers;

mod process;
mod tool;

mod nsq_to_file;
mod nsq_to_http;
mod nsq_to_nsq;
