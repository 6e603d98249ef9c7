//! The scheduler through its front door: a real Postgres behind it, gRPC and HTTP in front.

#![allow(clippy::unwrap_used, reason = "a test that finds something else than it expects has failed")]

mod audit;
mod bad_input;
mod busy;
mod conformance;
mod front;
mod http;
mod jobs;
mod policies;
mod reconciler;
mod retention;
mod runs;
mod security;
mod simulation;
mod sql;
mod startup;
mod stuck_node;
mod when;
mod workers;
