//! The user that Postgres runs as.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::unistd::{Uid, User};

/// The user that Postgres runs as. Postgres refuses to be root, so root becomes somebody else for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Whether this process must change its user to be this one.
    drop: bool,
}

impl Account {
    /// The user for a new cluster: this process's own or, for root, `postgres` where there is one and else `nobody`.
    pub(crate) fn for_new_cluster() -> Self {
        let own = Self::own();
        if own.uid != 0 {
            return own;
        }
        let known = |name| User::from_name(name).ok().flatten().filter(|user| !user.uid.is_root());
        let (uid, gid) = known("postgres")
            .or_else(|| known("nobody"))
            .map_or((65_534, 65_534), |user| (user.uid.as_raw(), user.gid.as_raw()));
        Self { uid, gid, drop: true }
    }

    /// The owner of an existing directory, when this process is or can become that user: a cluster made as one user
    /// does not start as another.
    pub(crate) fn owning(dir: &Path) -> io::Result<Result<Self, u32>> {
        let found = fs::metadata(dir)?;
        let own = Self::own();
        Ok(match (own.uid, found.uid()) {
            (0, 0) => Err(0), // nobody can run it: Postgres refuses root
            (0, uid) => Ok(Self { uid, gid: found.gid(), drop: true }),
            (own_uid, uid) if own_uid == uid => Ok(own),
            (_, uid) => Err(uid),
        })
    }

    fn own() -> Self {
        Self { uid: Uid::effective().as_raw(), gid: nix::unistd::Gid::effective().as_raw(), drop: false }
    }

    /// Whether this process is root and becomes somebody else for Postgres.
    pub(crate) fn is_drop_from_root(self) -> bool {
        self.drop
    }

    /// Makes `command` run as this user, without the groups of the present one.
    pub(crate) fn applied_to(self, command: &mut Command) -> &mut Command {
        if self.drop { command.uid(self.uid).gid(self.gid) } else { command }
    }

    /// Makes a directory that only this user can enter (and root).
    pub(crate) fn create_private_dir(self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)?;
        self.give(dir)?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
    }

    /// Makes this user the owner of a file or directory.
    pub(crate) fn give(self, path: &Path) -> io::Result<()> {
        if self.drop { chown(path, Some(self.uid), Some(self.gid)) } else { Ok(()) }
    }

    /// Whether this user may pass through every directory from the root to `dir`. Parts that do not exist yet are
    /// taken to be made passable.
    pub(crate) fn can_reach(self, dir: &Path) -> bool {
        !self.drop
            || dir.ancestors().all(|part| fs::metadata(part).map_or(true, |found| self.can_pass(&found)))
    }

    fn can_pass(self, found: &fs::Metadata) -> bool {
        let execute = match (found.uid() == self.uid, found.gid() == self.gid) {
            (true, _) => 0o100,
            (false, true) => 0o010,
            (false, false) => 0o001,
        };
        found.mode() & execute != 0
    }

    /// How a person would call this user.
    pub(crate) fn name(self) -> String {
        let user = User::from_uid(Uid::from_raw(self.uid)).ok().flatten();
        user.map_or_else(|| format!("user {}", self.uid), |user| user.name)
    }
}

#[cfg(test)]
impl Account {
    /// Somebody that root becomes.
    pub(crate) fn dropped_to(uid: u32, gid: u32) -> Self {
        Self { uid, gid, drop: true }
    }

    /// The user of the tests, as if it were a plain one.
    pub(crate) fn for_tests() -> Self {
        Self::own()
    }
}
