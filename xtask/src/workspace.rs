//! Where things are.

use std::path::{Path, PathBuf};

use anyhow::Context;

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate lies below the root")
}

/// Where cargo builds, wherever it was told to.
pub(crate) fn target_dir() -> anyhow::Result<PathBuf> {
    // This program was built there: TARGET/PROFILE/xtask.
    let own = std::env::current_exe().context("could not tell where this program is")?;
    own.ancestors().nth(2).map(Path::to_owned).context("this program is not in cargo's target directory")
}

/// The program `name` as built with `profile_dir` ("debug" or "release").
pub(crate) fn program(profile_dir: &str, name: &str) -> anyhow::Result<PathBuf> {
    Ok(target_dir()?.join(profile_dir).join(name))
}
