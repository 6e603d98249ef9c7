//! Debian's own package.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{InstallError, announce, run};

/// Read by Debian's scripts when a package of the server is installed. A file of ours beside the package's own
/// configuration, so that nothing asks which of two versions to keep.
const OWN_SETTING: &str = "/etc/postgresql-common/createcluster.d/punctual.conf";

/// Installs the system's Postgres without the cluster that comes with it and would listen on port 5432.
pub(super) fn install() -> Result<(), InstallError> {
    if !Path::new("/usr/bin/apt-get").exists() {
        return Err(InstallError::NoTool("apt-get"));
    }
    announce("installing the system's with apt-get (binaries only: no server of its own is started)");
    let setting = Path::new(OWN_SETTING);
    fs::create_dir_all(setting.parent().unwrap_or(setting))?;
    fs::write(setting, "create_main_cluster = false\n")?;
    let outcome = install_package();
    // Whoever installs a server here later, for its own sake, will expect the usual cluster.
    fs::remove_file(setting)?;
    outcome
}

fn install_package() -> Result<(), InstallError> {
    if apt_get(&["install", "--no-install-recommends", "postgresql"]).is_ok() {
        return Ok(());
    }
    // A fresh machine or image does not know what there is.
    apt_get(&["update"])?;
    apt_get(&["install", "--no-install-recommends", "postgresql"])
}

fn apt_get(arguments: &[&str]) -> Result<(), InstallError> {
    let mut command = Command::new("apt-get");
    command.args(["-y", "-qq"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    run("apt-get", &mut command)
}
