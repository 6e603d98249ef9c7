//! Where a cluster and its socket go.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::PostgresError;
use crate::account::Account;

/// The system takes socket paths of 107 bytes; some leeway for the lock file beside it.
const MAX_SOCKET_PATH_BYTES: usize = 100;

/// The file in the data directory that says where the rest is, when it is elsewhere.
const NOTE: &str = "postgres.location";

/// What placement depends on besides the data directory.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    /// The user for a new cluster.
    pub(crate) account: Account,
    /// Where root keeps clusters that the account could not reach in their data directory.
    pub(crate) shared: PathBuf,
    /// A plain user's directory for sockets.
    pub(crate) runtime: Option<PathBuf>,
}

impl Surroundings {
    /// Those of this process.
    pub(crate) fn of_this_process() -> Self {
        Self {
            account: Account::for_new_cluster(),
            shared: PathBuf::from("/var/lib/punctual"),
            runtime: std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_dir()),
        }
    }
}

/// Where a cluster and its socket are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placement {
    /// Holds everything but, at times, the socket.
    pub(crate) home: PathBuf,
    /// The directory of the socket.
    pub(crate) socket_dir: PathBuf,
    /// Why they are not in the data directory.
    reason: Option<String>,
}

impl Placement {
    /// Decides where the cluster of `data_dir` (absolute) goes or, if there is one, finds where it went.
    pub(crate) fn decide(data_dir: &Path, surroundings: &Surroundings) -> Self {
        let (home, mut reason) = place_home(data_dir, surroundings);
        let mut socket_dir = home.join("socket");
        if socket_path_bytes(&socket_dir) > MAX_SOCKET_PATH_BYTES {
            socket_dir = place_socket(data_dir, surroundings);
            reason.get_or_insert_with(|| {
                format!(
                    "a socket path has at most {MAX_SOCKET_PATH_BYTES} bytes, and this one would be longer"
                )
            });
        }
        Self { home, socket_dir, reason }
    }

    /// The data files.
    pub(crate) fn cluster(&self) -> PathBuf {
        self.home.join("cluster")
    }

    /// What Postgres says.
    pub(crate) fn log(&self) -> PathBuf {
        self.home.join("log")
    }

    /// The superuser's password, asked for over TCP only.
    pub(crate) fn password(&self) -> PathBuf {
        self.home.join("password")
    }

    /// Makes the directories, for `account`, and the note in the data directory.
    pub(crate) fn create(&self, data_dir: &Path, account: Account) -> Result<(), PostgresError> {
        make_passable(self.home.parent().unwrap_or(data_dir))?;
        account.create_private_dir(&self.home).map_err(PostgresError::io(&self.home))?;
        self.create_socket_dir(account)?;
        let note = data_dir.join(NOTE);
        match &self.reason {
            Some(reason) => {
                let text = format!(
                    "The Postgres of this directory is elsewhere.\ncluster: {}\nsocket: {}\nbecause: {reason}\n",
                    self.cluster().display(),
                    self.socket_dir.display(),
                );
                fs::write(&note, text).map_err(PostgresError::io(&note))
            }
            None => Ok(()),
        }
    }

    /// A socket directory outside our own directories may lie in one that everybody writes to: one that is there
    /// already must be ours, or somebody could be waiting in it.
    fn create_socket_dir(&self, account: Account) -> Result<(), PostgresError> {
        let dir = &self.socket_dir;
        let failed = || PostgresError::io(dir);
        make_passable(dir.parent().unwrap_or(dir))?;
        match fs::DirBuilder::new().mode(0o700).create(dir) {
            Ok(()) => account.give(dir).map_err(failed()),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let found = fs::symlink_metadata(dir).map_err(failed())?;
                if found.is_dir() && found.uid() == account.uid {
                    account.create_private_dir(dir).map_err(failed())
                } else {
                    Err(PostgresError::ForeignCluster { dir: dir.clone(), owner: found.uid() })
                }
            }
            Err(error) => Err(failed()(error)),
        }
    }

    /// Removes all of it, the note included.
    pub(crate) fn remove(&self, data_dir: &Path) -> Result<(), PostgresError> {
        for dir in [&self.home, &self.socket_dir] {
            match fs::remove_dir_all(dir) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(PostgresError::io(dir)(error));
                }
                _ => {}
            }
        }
        // A socket directory elsewhere may have been alone in its parent; one that is not empty stays.
        let _best_effort = self.socket_dir.parent().map(fs::remove_dir);
        // Often there is none; and when it stays, it only tells of a place that is gone.
        let _best_effort = fs::remove_file(data_dir.join(NOTE));
        Ok(())
    }
}

/// Makes missing directories so that every user can pass through them, whatever this process's umask says.
fn make_passable(dir: &Path) -> Result<(), PostgresError> {
    if dir.exists() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        make_passable(parent)?;
    }
    let made = fs::create_dir(dir).and_then(|()| fs::set_permissions(dir, fs::Permissions::from_mode(0o755)));
    made.map_err(PostgresError::io(dir))
}

fn place_home(data_dir: &Path, surroundings: &Surroundings) -> (PathBuf, Option<String>) {
    let near = data_dir.join("postgres");
    if is_cluster(&near) {
        return (near, None);
    }
    let elsewhere = |home| {
        let reason = format!("{} cannot reach {}", surroundings.account.name(), data_dir.display());
        (home, Some(reason))
    };
    if let Some(home) = noted_home(data_dir, &surroundings.shared) {
        return elsewhere(home);
    }
    if surroundings.account.can_reach(data_dir) {
        return (near, None);
    }
    elsewhere(surroundings.shared.join(short_hash(data_dir)))
}

/// Where the note says the cluster is. It still says so after the data directory was moved; but it is believed only
/// within `shared`, since others may be able to write into the data directory.
fn noted_home(data_dir: &Path, shared: &Path) -> Option<PathBuf> {
    let note = fs::read_to_string(data_dir.join(NOTE)).ok()?;
    let cluster = PathBuf::from(note.lines().find_map(|line| line.strip_prefix("cluster: "))?);
    let home = cluster.parent()?;
    (home.parent() == Some(shared) && is_cluster(home)).then(|| home.to_owned())
}

fn place_socket(data_dir: &Path, surroundings: &Surroundings) -> PathBuf {
    let hash = short_hash(data_dir);
    if surroundings.account.is_drop_from_root() {
        return surroundings.shared.join(hash).join("socket");
    }
    match &surroundings.runtime {
        Some(runtime)
            if socket_path_bytes(&runtime.join("punctual").join(&hash)) <= MAX_SOCKET_PATH_BYTES =>
        {
            runtime.join("punctual").join(hash)
        }
        _ => PathBuf::from(format!("/tmp/punctual-{}-{hash}", surroundings.account.uid)),
    }
}

fn is_cluster(home: &Path) -> bool {
    home.join("cluster/PG_VERSION").exists()
}

fn socket_path_bytes(socket_dir: &Path) -> usize {
    socket_dir.join(".s.PGSQL.65535.lock").as_os_str().len()
}

/// Sixteen hexadecimal digits that stand for a path.
fn short_hash(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    Sha256::digest(path.as_os_str().as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
