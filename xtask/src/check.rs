//! `cargo xtask check`: what a machine can say about the code without running it.

use std::process::ExitCode;

use crate::cargo::{cargo, require};
use crate::query_metadata;

/// Stops at the first thing to be mended.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    require(&mut cargo(["fmt", "--all", "--check"]))?;
    require(&mut cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    require(cargo(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    query_metadata::require_fresh()?;
    eprintln!("all checks pass");
    Ok(ExitCode::SUCCESS)
}
