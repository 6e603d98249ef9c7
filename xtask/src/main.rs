//! The project's own chores: `cargo xtask test`, `check`, `sqlx`, `bench`, `fuzz`, `with-postgres`.

mod bench;
mod cargo;
mod check;
mod database;
mod fuzz;
mod query_metadata;
mod test;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

/// The project's own chores
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
enum Chore {
    /// Run all tests, on a Postgres of their own
    Test {
        /// Include what takes many minutes, or needs root, /dev/fuse, npm or Python
        #[arg(long)]
        full: bool,
        /// Only tests whose name contains one of these
        filters: Vec<String>,
    },
    /// Check format, lints, documentation, and that `.sqlx/` is fresh
    Check,
    /// Write `.sqlx/` anew, after a change of a query or of the schema
    Sqlx,
    /// Build for release and measure
    Bench {
        /// What to measure; everything when missing
        #[arg(allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Give any bytes to what reads bytes from strangers, and see what breaks; needs nightly and cargo-fuzz
    Fuzz {
        /// How long each target is tried
        #[arg(long, default_value_t = 1)]
        minutes: u32,
        /// Only targets whose name contains one of these
        filters: Vec<String>,
    },
    /// Run a command with `DATABASE_URL` naming a Postgres that goes when it ends
    WithPostgres {
        /// The command and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    run(Chore::parse()).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(chore: Chore) -> anyhow::Result<ExitCode> {
    match chore {
        Chore::Test { full, filters } => test::run(full, &filters),
        Chore::Check => check::run(),
        Chore::Sqlx => query_metadata::write(),
        Chore::Bench { arguments } => bench::run(&arguments),
        Chore::Fuzz { minutes, filters } => fuzz::fuzz(minutes, &filters),
        Chore::WithPostgres { command } => database::with(&command),
    }
}
