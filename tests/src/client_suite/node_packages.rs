//! Packages from npm.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{clients, installed, run};

/// Installs what the lock of `tests/clients/NAME` says; gives the directory that has `node_modules`.
///
/// # Errors
/// When npm is not there, or fails.
pub fn node_packages(name: &str) -> anyhow::Result<PathBuf> {
    let wanted = ["package.json", "package-lock.json"].map(|file| clients().join(name).join(file));
    installed(name, &wanted, |dir| {
        for file in &wanted {
            if let Some(name) = file.file_name() {
                fs::copy(file, dir.join(name))?;
            }
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(dir);
        run(&mut npm, "this needs `npm`, with Node.js 16 or newer")
    })
}
