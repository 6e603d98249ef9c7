//! `verify history.jsonl`: says whether the guarantees held. Exit code 0 if so, 1 if not, 2 if it cannot tell.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use punctual_verify::history::History;
use punctual_verify::{Options, check};

/// Judges a history of Punctual
#[derive(Parser)]
struct Args {
    /// JSON Lines, as the crate's documentation defines them; `-` reads standard input
    history: PathBuf,
    /// Breaches shown of each clause
    #[arg(long, default_value_t = 10)]
    most: usize,
    /// Seconds before the end within which nothing is asked for yet
    #[arg(long, default_value_t = 5)]
    settle: u64,
    /// Seconds a run may start late outside faults; not judged when absent
    #[arg(long)]
    lateness: Option<u64>,
    /// Seconds a fault is felt after it ended
    #[arg(long, default_value_t = 10)]
    recovery: u64,
}

fn main() -> ExitCode {
    match judge(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("verify: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn judge(args: &Args) -> anyhow::Result<bool> {
    let history = if args.history.as_os_str() == "-" {
        History::read(std::io::stdin().lock())?
    } else {
        let file =
            File::open(&args.history).with_context(|| format!("cannot open {}", args.history.display()))?;
        History::read(BufReader::new(file))?
    };
    let options = Options {
        settle: Duration::from_secs(args.settle),
        lateness: args.lateness.map(Duration::from_secs),
        recovery: Duration::from_secs(args.recovery),
        ..Options::default()
    };
    let verdict = check(&history, &options)?;
    print!("{}", verdict.report(&history, args.most));
    Ok(verdict.is_clean())
}
