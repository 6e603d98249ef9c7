//! The binary through its front door: against a stand-in for a scheduler, and all of it for real.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;
mod fake;
mod nsq;

mod audit;
mod dev;
mod failover;
mod files;
mod jobs;
mod nsq_daemons;
mod nsq_tools;
mod places;
mod queue_files;
mod runs;
mod task_queues;
