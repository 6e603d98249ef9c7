//! The parts of a process that others can touch: its HTTP port and its signals.

#![expect(clippy::unwrap_used, reason = "what goes wrong in a test's helpers fails the test, as it should")]

mod health;
mod http;
mod server;
mod signals;
