//! `cargo xtask bench`.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use crate::cargo::{self, cargo, exit_code, require};
use crate::workspace;

/// Builds for release and hands `arguments` to the benchmarks, which print their figures.
pub(crate) fn run(arguments: &[OsString]) -> anyhow::Result<ExitCode> {
    require(&mut cargo(["build", "--release", "--package", "punctual", "--package", "punctual-bench"]))?;
    let mut bench = Command::new(workspace::program("release", "punctual-bench")?);
    bench
        .args(arguments)
        .env("PUNCTUAL_BIN", workspace::program("release", "punctual")?)
        .current_dir(workspace::root());
    cargo::run(&mut bench).map(exit_code)
}
