//! Load generators for Punctual: real processes of the built binary, measured from outside.
//!
//! `cargo xtask bench` measures Punctual on a release build; `cargo xtask bench latency herd` measures some of it.
//! A million, peers, soak and logs are measured when they are named.

#![forbid(unsafe_code)]

mod clock;
mod cpu;
mod figures;
mod load;
mod machine;
mod pace;
mod pinned;
mod system;

mod herd;
mod latency;
mod million;
mod peers;
mod queue;
mod throughput;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};

/// Measures Punctual on this machine
#[derive(Debug, Parser)]
struct Args {
    /// What to measure; when missing, all but million, peers, soak and logs
    names: Vec<Name>,
    /// How long each steady load lasts, in seconds
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// How often what is short is repeated; medians are shown, with the range
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How many runs go through the whole system for throughput
    #[arg(long, default_value_t = 30_000)]
    runs: usize,
    /// For queue: a running server of the NSQ protocol to measure, HOST:PORT, without its CPU and disk. Its topics
    /// named bench-… stay
    #[arg(long)]
    address: Option<String>,
    /// How long the soak lasts
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// From due, or from asked for, to started, at 50 runs per second
    Latency,
    /// A thousand runs due at one instant
    Herd,
    /// A million jobs defined, a hundred thousand of them due at one instant: one scheduler, from due to published
    Million,
    /// No-op runs through the whole system
    Throughput,
    /// A queue node over the bare protocol, beside bare writes to the same disk
    Queue,
    /// The same loads on a queue node and on beanstalkd, NATS JetStream and Redis streams
    Peers,
    /// A queue node at 70 % of its load for --minutes; fails unless memory and descriptors stay flat
    Soak,
    /// Syncs of one file and of many, in turn and side by side
    Logs,
}

impl Name {
    /// What takes minutes or an hour, or is about others, must be named.
    fn is_wanted(self, args: &Args) -> bool {
        let usual = !matches!(self, Self::Million | Self::Peers | Self::Soak | Self::Logs);
        args.names.contains(&self) || usual && args.names.is_empty()
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    // HTTP clients want one, with TLS or without.
    let _already_there = rustls::crypto::ring::default_provider().install_default();
    match measure_all(&Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nfailed: {failure:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measure_all(args: &Args) -> anyhow::Result<()> {
    println!("{}", machine::layout()?);
    pinned(Name::Queue, args, queue::measure)?;
    pinned(Name::Peers, args, peers::measure)?;
    pinned(Name::Soak, args, queue::soak::measure)?;
    pinned(Name::Logs, args, queue::logs::measure)?;
    if Name::Latency.is_wanted(args) {
        latency::measure(args).await?;
    }
    if Name::Herd.is_wanted(args) {
        herd::measure(args).await?;
    }
    if Name::Million.is_wanted(args) {
        million::measure(args).await?;
    }
    if Name::Throughput.is_wanted(args) {
        throughput::measure(args).await?;
    }
    Ok(())
}

/// What is wanted, on a thread of its own, because it chooses its cores.
fn pinned(name: Name, args: &Args, measure: fn(&Args) -> anyhow::Result<()>) -> anyhow::Result<()> {
    if !name.is_wanted(args) {
        return Ok(());
    }
    std::thread::scope(|threads| threads.spawn(|| measure(args)).join())
        .unwrap_or_else(|_| anyhow::bail!("the measurement panicked"))
}
