//! Where the programs under test are.

use std::path::PathBuf;

use anyhow::{Context, bail};

/// The binary under test: `PUNCTUAL_BIN`, else the one that cargo built beside this test.
///
/// # Errors
/// When there is none, with how to build it.
pub fn punctual() -> anyhow::Result<PathBuf> {
    if let Some(given) = std::env::var_os("PUNCTUAL_BIN") {
        return Ok(PathBuf::from(given));
    }
    built("punctual", "cargo build")
}

/// The program that jobs run to be seen by a [`Witness`](crate::witness::Witness).
///
/// # Errors
/// When there is none, with how to build it.
pub fn witness() -> anyhow::Result<PathBuf> {
    built("witness", "cargo build -p punctual-tests --bin witness")
}

/// A directory for what tests write, on the disk that the build is on: on a file system in memory a sync proves
/// nothing.
///
/// # Errors
/// When it cannot be made.
pub fn scratch() -> anyhow::Result<PathBuf> {
    let dir = profile_dir()?.join("system-tests");
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(dir)
}

fn built(name: &str, command: &str) -> anyhow::Result<PathBuf> {
    let path = profile_dir()?.join(name);
    if !path.exists() {
        bail!("{} is not built; build it with: {command}", path.display());
    }
    Ok(path)
}

/// `target/debug` for a test that runs from `target/debug/deps`.
fn profile_dir() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe().context("cannot tell where this test lies")?;
    let dir = test.ancestors().find(|dir| dir.ends_with("debug") || dir.ends_with("release"));
    Ok(dir.with_context(|| format!("{} is in no target directory", test.display()))?.to_owned())
}
