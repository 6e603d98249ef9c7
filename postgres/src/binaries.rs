//! Postgres's programs on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::PostgresError;
use crate::account::Account;

/// The oldest major version that our SQL works on.
const OLDEST: u32 = 15;

/// A directory with the programs of one version of Postgres.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binaries {
    dir: PathBuf,
    pub(crate) major: u32,
}

impl Binaries {
    /// The programs in `dir`, if it has what is needed, in a version that will do, where `account` can run them.
    pub(crate) fn in_dir(dir: &Path, account: Account) -> Option<Self> {
        let said = version(&dir.join("postgres"), account)?;
        version(&dir.join("initdb"), account)?;
        let major = major_of(&said)?;
        (major >= OLDEST).then(|| Self { dir: dir.to_owned(), major })
    }

    /// The best of what is on this machine: what `PG_BINDIR` names, else the highest version (the one that made the
    /// cluster, when there is one) of those on the `PATH`, of `pg_config`, and of Debian's place.
    pub(crate) fn find(account: Account, cluster: Option<u32>) -> Result<Option<Self>, PostgresError> {
        if let Some(dir) = std::env::var_os("PG_BINDIR").map(PathBuf::from) {
            return Self::in_dir(&dir, account).map(Some).ok_or(PostgresError::BadBinDir { dir });
        }
        let found: Vec<_> = candidates().iter().filter_map(|dir| Self::in_dir(dir, account)).collect();
        Ok(Self::best(found, cluster))
    }

    /// Of equal versions the first found wins.
    fn best(found: Vec<Self>, cluster: Option<u32>) -> Option<Self> {
        let fits = |binaries: &Self| cluster == Some(binaries.major);
        found.into_iter().rev().max_by_key(|binaries| (fits(binaries), binaries.major))
    }

    pub(crate) fn initdb(&self) -> PathBuf {
        self.dir.join("initdb")
    }

    pub(crate) fn postgres(&self) -> PathBuf {
        self.dir.join("postgres")
    }

    /// `psql`, which not every source of binaries has.
    pub(crate) fn psql(&self) -> Option<PathBuf> {
        let psql = self.dir.join("psql");
        psql.exists().then_some(psql)
    }
}

fn candidates() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<_> = std::env::split_paths(&path).filter(|dir| dir.is_absolute()).collect();
    dirs.extend(pg_config_dir());
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    dirs.extend(debian.map(|version| version.path().join("bin")));
    dirs
}

fn pg_config_dir() -> Option<PathBuf> {
    let said = Command::new("pg_config").arg("--bindir").output().ok()?.stdout;
    Some(PathBuf::from(String::from_utf8(said).ok()?.trim()))
}

/// What a program says of its version; `None` when `account` cannot run it, or it does not run at all. Asked as the
/// account: root does not run what the account may have put there.
fn version(program: &Path, account: Account) -> Option<String> {
    if !program.canonicalize().is_ok_and(|real| account.can_reach(&real)) {
        return None;
    }
    let mut command = Command::new(program);
    let said = account.applied_to(command.arg("--version").current_dir("/")).output().ok()?;
    said.status.success().then(|| String::from_utf8_lossy(&said.stdout).into_owned())
}

/// From `postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)` and the like: `17beta2` counts as 17.
fn major_of(version: &str) -> Option<u32> {
    let number = version.split_whitespace().nth(2)?;
    let digits = number.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(number.len());
    number[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_postgres_says() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)\n"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 18.4\n"), Some(18));
        assert_eq!(major_of("postgres (PostgreSQL) 19beta1\n"), Some(19));
        assert_eq!(major_of("postgres (PostgreSQL) devel"), None);
        assert_eq!(major_of(""), None);
    }

    fn in_place(dir: &str, major: u32) -> Binaries {
        Binaries { dir: PathBuf::from(dir), major }
    }

    #[track_caller]
    fn check(found: &[(&str, u32)], cluster: Option<u32>, expect: Option<&str>) {
        let found = found.iter().map(|&(dir, major)| in_place(dir, major)).collect();
        let best = Binaries::best(found, cluster);
        assert_eq!(best.map(|best| best.dir), expect.map(PathBuf::from));
    }

    #[test]
    fn the_clusters_own_version_wins_then_the_highest_then_the_first() {
        check(&[], None, None);
        check(&[("a", 15), ("b", 17), ("c", 16)], None, Some("b"));
        check(&[("a", 15), ("b", 17), ("c", 16)], Some(15), Some("a"));
        check(&[("a", 16), ("b", 17)], Some(15), Some("b"));
        check(&[("a", 17), ("b", 17)], None, Some("a"));
    }
}
