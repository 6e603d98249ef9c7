//! `cargo xtask test`.

use std::process::{Command, ExitCode};

use crate::cargo::{self, cargo, exit_code, has_nextest, require};
use crate::database::Database;
use crate::workspace;

/// The crate whose tests start whole systems and want the machine for themselves.
const WHOLE_SYSTEM: &str = "punctual-tests";

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
    if has_nextest() {
        let mut nextest = cargo(["nextest", "run", "--workspace", "--no-tests=warn"]);
        if full {
            nextest.args(["--run-ignored", "all"]); // those that need more than a user's rights
        }
        return prepared(nextest.args(filters)).map(exit_code);
    }
    let ignored = if full { ["--include-ignored"].as_slice() } else { &[] };
    let mut each = cargo(["test", "--workspace", "--no-fail-fast", "--bins", "--lib", "--tests"]);
    let each = prepared(each.args(["--exclude", WHOLE_SYSTEM, "--"]).args(ignored).args(filters))?;
    let mut whole = cargo(["test", "--package", WHOLE_SYSTEM, "--no-fail-fast", "--tests"]);
    let whole = prepared(whole.args(["--", "--test-threads=1"]).args(ignored).args(filters))?;
    Ok(exit_code(if each.success() { whole } else { each }))
}
