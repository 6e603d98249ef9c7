//! Punctual: a distributed task scheduler on an NSQ-style queue, in one binary.
//!
//! It decides nothing: it parses the command line, wires the roles together, and prints what servers answer.

#![forbid(unsafe_code)]

mod cli;
mod failure;

mod client;
mod output;
mod server;

mod backfill;
mod calendar;
mod job;
mod namespace;
mod payload;
mod run;
mod schedule;
mod task_queue;

mod dev;
mod nsq;
mod queue;
mod role;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::nsq::NsqName;

#[tokio::main]
async fn main() -> ExitCode {
    punctual_service::tls::install_crypto_provider();
    let mut words = std::env::args_os();
    if let Some(name) = words.next().as_deref().and_then(NsqName::of) {
        return name.run(words.collect()).await;
    }
    match Cli::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
