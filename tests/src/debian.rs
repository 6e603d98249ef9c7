//! Programs and libraries of Debian's packages, unpacked beside the tests: nothing is installed and no right is needed.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use crate::programs;

/// Unpacks packages into a directory that stays for the next run, as the root of a file system.
///
/// # Errors
/// When they cannot be fetched, with what to install by hand.
pub fn unpacked(packages: &[&str]) -> anyhow::Result<PathBuf> {
    let root = programs::scratch()?.join("debian").join(packages[0]);
    if root.join("unpacked").exists() {
        return Ok(root);
    }
    let missing =
        || format!("this needs `apt-get install {}`, or apt-get and dpkg to fetch it", packages.join(" "));
    let dir = tempfile::Builder::new().prefix("fetch-").tempdir_in(programs::scratch()?)?;
    let fetch = |args: &[&str]| {
        let mut apt = Command::new("apt-get");
        apt.args(args).current_dir(dir.path()).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        apt.output().with_context(missing)
    };
    let download = [["download", "--quiet"].as_slice(), packages].concat();
    if !fetch(&download)?.status.success() {
        // The lists may be old, or never have been read.
        fetch(&["update", "--quiet"])?;
        let again = fetch(&download)?;
        ensure!(again.status.success(), "{}: {}", missing(), String::from_utf8_lossy(&again.stderr));
    }
    let new = dir.path().join("root");
    for entry in std::fs::read_dir(dir.path())? {
        let package = entry?.path();
        if package.extension().is_some_and(|extension| extension == "deb") {
            let unpack =
                Command::new("dpkg").arg("-x").args([&package, &new]).output().with_context(missing)?;
            ensure!(unpack.status.success(), "dpkg cannot unpack {}", package.display());
        }
    }
    std::fs::write(new.join("unpacked"), "")?;
    std::fs::create_dir_all(root.parent().context("it has a parent")?)?;
    match std::fs::rename(&new, &root) {
        // Another test was faster.
        Err(_) if root.join("unpacked").exists() => Ok(root),
        Err(error) => bail!("cannot move {} to {}: {error}", new.display(), root.display()),
        Ok(()) => Ok(root),
    }
}

/// The first file of that name under one of the directories of `root/usr/lib`.
pub fn library(root: &std::path::Path, name: &str) -> Option<PathBuf> {
    let dirs = std::fs::read_dir(root.join("usr/lib")).ok()?.flatten().map(|entry| entry.path());
    let mut candidates = dirs.map(|dir| dir.join(name));
    candidates.find(|path| path.exists())
}
