//! Punctual: a distributed task scheduler on an NSQ-style queue, in one binary.
//!
//! It decides nothing: it parses the command line, wires the roles together, and prints what servers answer.

#![forbid(unsafe_code)]

mod cli;
mod failure;

mod client;
mod output;
mod server;

mod job;
mod payload;
mod run;
mod schedule;

mod dev;
mod queue;
mod role;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    punctual_service::tls::install_crypto_provider();
    match Cli::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
