//! `cargo xtask test`.

use std::process::{Command, ExitCode};

use crate::cargo::{self, cargo, exit_code, has_nextest, require};
use crate::database::Database;
use crate::workspace;

/// The crate whose tests start whole systems and want the machine for themselves.
const WHOLE_SYSTEM: &str = "punctual-tests";

/// Modules of it that do without Postgres: a pooler in front of that is nothing to them.
const WITHOUT_POSTGRES: [&str; 6] =
    ["hostile", "disk_faults", "power_cuts", "queue_durability", "clients", "dependencies"];

/// Runs the tests whose names contain one of `filters`, or all. The runner's summary is the last that is printed, its
/// exit code the result.
pub(crate) fn run(full: bool, filters: &[String]) -> anyhow::Result<ExitCode> {
    // First, so that a machine without one says so before minutes of compiling.
    let database = Database::obtain()?;
    // The binary with the tests, in one go: apart, cargo would choose other features and build much of it twice.
    require(&mut cargo(["build", "--workspace", "--bins", "--tests"]))?;
    let binary = workspace::program("debug", "punctual")?;
    let prepared = |command: &mut Command| {
        command.env("DATABASE_URL", database.url()).env("PUNCTUAL_BIN", &binary);
        if full {
            command.env("PUNCTUAL_TEST_FULL", "1");
        }
        cargo::run(command)
    };
    // All that reaches Postgres once more, through a pooler that gives each transaction another connection.
    let pooled = |command: &mut Command| {
        let skipped = WITHOUT_POSTGRES.iter().flat_map(|module| ["--skip", *module]);
        prepared(command.arg("--").args(skipped).args(filters).env("PUNCTUAL_TEST_POOLED", "1"))
    };
    if has_nextest() {
        let mut nextest = cargo(["nextest", "run", "--workspace", "--no-tests=warn"]);
        if full {
            nextest.args(["--run-ignored", "all"]); // those that need more than a user's rights
        }
        let all = prepared(nextest.args(filters))?;
        if !full {
            return Ok(exit_code(all));
        }
        let again = pooled(&mut cargo(["nextest", "run", "--package", WHOLE_SYSTEM, "--no-tests=warn"]))?;
        return Ok(exit_code(if all.success() { again } else { all }));
    }
    let ignored = if full { ["--include-ignored"].as_slice() } else { &[] };
    let mut each = cargo(["test", "--workspace", "--no-fail-fast", "--bins", "--lib", "--tests"]);
    let each = prepared(each.args(["--exclude", WHOLE_SYSTEM, "--"]).args(ignored).args(filters))?;
    let mut whole = cargo(["test", "--package", WHOLE_SYSTEM, "--no-fail-fast", "--tests"]);
    let whole = prepared(whole.args(["--", "--test-threads=1"]).args(ignored).args(filters))?;
    let mut ended = vec![each, whole];
    if full {
        let mut again = cargo(["test", "--package", WHOLE_SYSTEM, "--no-fail-fast", "--tests"]);
        ended.push(pooled(again.env("RUST_TEST_THREADS", "1"))?);
    }
    let first_bad = ended.iter().find(|status| !status.success()).or(ended.first());
    Ok(first_bad.map_or(ExitCode::FAILURE, |status| exit_code(*status)))
}
