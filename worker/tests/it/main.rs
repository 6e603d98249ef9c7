//! The worker through its front door: over TCP to a queue node and over gRPC to a scheduler, both played by the test.

#![expect(clippy::unwrap_used, reason = "what goes wrong in a test's helpers fails the test, as it should")]

mod node;
mod scheduler;
mod stage;

mod cut_off;
mod drain;
mod messages;
mod outcomes;
mod runner;
