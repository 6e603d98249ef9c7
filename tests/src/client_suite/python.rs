//! Packages from PyPI.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;

use super::{clients, installed, run};

/// Newest first. The tornado that pynsq is for needs a module that 3.12 has no more, and its pytest one of 3.8.
const PYTHONS: [&str; 5] = ["python3.11", "python3.10", "python3.9", "python3.8", "python3"];

/// Says by its exit code whether this Python will do.
const WILL_DO: &str = "import sys, venv, ensurepip; sys.exit(not (3, 8) <= sys.version_info[:2] <= (3, 11))";

/// A Python with packages of its own.
#[derive(Debug)]
pub struct Python {
    /// Its interpreter.
    pub program: PathBuf,
}

impl Python {
    /// Installs what the requirements of `tests/clients/NAME` say.
    ///
    /// # Errors
    /// When no Python that they run on is there, or pip fails.
    pub fn with_packages(name: &str) -> anyhow::Result<Self> {
        let wanted =
            ["build-requirements.txt", "requirements.txt"].map(|file| clients().join(name).join(file));
        let [to_build, to_run] = &wanted;
        let dir = installed(name, &wanted, |dir| {
            let python = suitable()?;
            run(Command::new(python).args(["-m", "venv"]).arg(dir), "Python is gone")?;
            pip(dir, to_build)?;
            pip(dir, to_run)
        })?;
        Ok(Self { program: dir.join("bin/python") })
    }
}

fn suitable() -> anyhow::Result<&'static str> {
    let will_do = |python: &&&str| {
        let mut asked = Command::new(python);
        asked.args(["-c", WILL_DO]).stdout(Stdio::null()).stderr(Stdio::null());
        asked.status().is_ok_and(|status| status.success())
    };
    let found = PYTHONS.iter().find(will_do).copied();
    found.with_context(|| format!("this needs a Python from 3.8 to 3.11 with venv; tried {PYTHONS:?}"))
}

/// The packages come as source where there is nothing else, and are built with what is there already.
fn pip(dir: &Path, requirements: &Path) -> anyhow::Result<()> {
    let mut pip = Command::new(dir.join("bin/python"));
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--require-hashes",
        "--no-build-isolation",
        "--requirement",
    ]);
    run(pip.arg(requirements), "pip is gone")
}
