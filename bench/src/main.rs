//! Load generators for Punctual: real processes of the built binary, measured from outside.
//!
//! `cargo xtask bench` runs all of it on a release build; `cargo xtask bench latency herd` runs some.

#![forbid(unsafe_code)]

mod clock;
mod cpu;
mod figures;
mod load;
mod machine;
mod system;

mod herd;
mod latency;
mod queue;
mod throughput;

use clap::{Parser, ValueEnum};

/// Measures Punctual on this machine
#[derive(Debug, Parser)]
struct Args {
    /// What to measure; everything when missing
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
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// From due, or from asked for, to started, at 50 runs per second
    Latency,
    /// A thousand runs due at one instant
    Herd,
    /// No-op runs through the whole system
    Throughput,
    /// A queue node over the bare protocol, beside bare writes to the same disk
    Queue,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let wanted = |name| args.names.is_empty() || args.names.contains(&name);
    println!("{}", machine::layout()?);
    if wanted(Name::Queue) {
        // On a thread of its own, because it chooses its cores.
        std::thread::scope(|threads| threads.spawn(|| queue::measure(&args)).join())
            .unwrap_or_else(|_| anyhow::bail!("the measurement panicked"))?;
    }
    if wanted(Name::Latency) {
        latency::measure(&args).await?;
    }
    if wanted(Name::Herd) {
        herd::measure(&args).await?;
    }
    if wanted(Name::Throughput) {
        throughput::measure(&args).await?;
    }
    Ok(())
}
