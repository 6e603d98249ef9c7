//! A Postgres of our own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;

use crate::account::Account;
use crate::binaries::Binaries;
use crate::cluster::{self, SUPERUSER, last_lines};
use crate::dir_lock::DirLock;
use crate::placement::{Placement, Surroundings};
use crate::postmaster::Postmaster;
use crate::session::{Session, SessionError};
use crate::{Options, PostgresError, install, leftovers};

/// Recovery after a crash reads what was written since the last checkpoint: at most minutes' worth.
const START_WITHIN: Duration = Duration::from_secs(300);

/// How long a shutdown may take before the next firmer one.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// SQL's code for a database that is there already.
const DUPLICATE_DATABASE: &str = "42P04";

/// A Postgres of our own, serving. Dropping it stops it, and so does the end of this process, however it ends.
#[derive(Debug)]
pub struct Postgres {
    options: Options,
    placement: Placement,
    account: Account,
    binaries: Binaries,
    postmaster: Postmaster,
    /// Held as long as the cluster is ours.
    _lock: DirLock,
}

impl Postgres {
    /// Starts the Postgres of a data directory, after making the cluster or recovering it where needed, and returns
    /// when it serves: 0.1 s, or 2 s when the cluster must be made.
    ///
    /// # Errors
    /// When no Postgres can be had, the data directory is in use, or Postgres does not start; each says what to do.
    pub fn start(mut options: Options) -> Result<Self, PostgresError> {
        fs::create_dir_all(&options.data_dir).map_err(PostgresError::io(&options.data_dir))?;
        options.data_dir = options.data_dir.canonicalize().map_err(PostgresError::io(&options.data_dir))?;
        let lock = DirLock::acquire(&options.data_dir)?;
        let surroundings = Surroundings::of_this_process();
        let placement = Placement::decide(&options.data_dir, &surroundings);
        let account = account_for(&placement, &surroundings)?;
        placement.create(&options.data_dir, account)?;
        let binaries = obtain_binaries(&placement, account)?;
        leftovers::clear(&placement)?;
        if cluster::major_version(&placement.cluster()).is_none() {
            cluster::create(&placement, &binaries, account)?;
        }
        let postmaster = serve(&placement, &binaries, account, &options)?;
        Ok(Self { options, placement, account, binaries, postmaster, _lock: lock })
    }

    /// The URL of `database` over the unix socket, as libpq and sqlx understand it. It needs no password: who can
    /// reach the socket is trusted.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://{SUPERUSER}@localhost:{}/{}?host={}&sslmode=disable",
            cluster::port(&self.options),
            percent_encoded(database),
            percent_encoded(&self.placement.socket_dir.to_string_lossy()),
        )
    }

    /// The URL of `database` over TCP, with the password that it takes; `None` unless it was asked for.
    ///
    /// # Errors
    /// When the file with the password cannot be read.
    pub fn tcp_url(&self, database: &str) -> Result<Option<String>, PostgresError> {
        let Some(port) = self.options.listen_tcp else { return Ok(None) };
        let file = self.placement.password();
        let password = fs::read_to_string(&file).map_err(PostgresError::io(&file))?;
        let database = percent_encoded(database);
        Ok(Some(format!("postgres://{SUPERUSER}:{password}@127.0.0.1:{port}/{database}?sslmode=disable")))
    }

    /// What to type into a shell to look into `database`.
    pub fn psql_command(&self, database: &str) -> String {
        let on_path = std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join("psql").exists()));
        let psql = match self.binaries.psql() {
            Some(psql) if !on_path => psql,
            _ => PathBuf::from("psql"),
        };
        format!("{} '{}'", psql.display(), self.url(database).replace('\'', "'\\''"))
    }

    /// The directory of the unix socket.
    pub fn socket_dir(&self) -> &Path {
        &self.placement.socket_dir
    }

    /// What Postgres says.
    pub fn log(&self) -> PathBuf {
        self.placement.log()
    }

    /// The postmaster's process id.
    pub fn pid(&self) -> u32 {
        self.postmaster.pid()
    }

    /// How Postgres ended, if it has without being asked to; `None` while it runs.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.postmaster.exit_status()
    }

    /// Makes a database, unless it is there already.
    ///
    /// # Errors
    /// When Postgres refuses, or cannot be reached.
    pub fn create_database(&self, name: &str) -> Result<(), PostgresError> {
        match self.execute("postgres", &format!("CREATE DATABASE \"{}\"", name.replace('"', "\"\""))) {
            Err(PostgresError::Statement { source: SessionError::Refused { code, .. }, .. })
                if code == DUPLICATE_DATABASE =>
            {
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Runs one statement in `database` and drops its rows.
    ///
    /// # Errors
    /// When Postgres refuses, or cannot be reached.
    pub fn execute(&self, database: &str, statement: &str) -> Result<(), PostgresError> {
        let socket = self.placement.socket_dir.join(format!(".s.PGSQL.{}", cluster::port(&self.options)));
        Session::connect(&socket, SUPERUSER, database)
            .and_then(|mut session| session.execute(statement))
            .map_err(|source| PostgresError::Statement { database: database.to_owned(), source })
    }

    /// Ends every session and stops: without loss, and without waiting for clients.
    ///
    /// # Errors
    /// When Postgres does not stop.
    pub fn stop(self) -> Result<(), PostgresError> {
        self.end(&[Signal::INT, Signal::QUIT, Signal::KILL])
    }

    /// Stops without any tidying, as a crash would, and starts again: what was committed is recovered.
    ///
    /// # Errors
    /// When Postgres does not stop, or not start again.
    pub fn restart_immediate(&mut self) -> Result<(), PostgresError> {
        self.end(&[Signal::QUIT, Signal::KILL])?;
        leftovers::clear(&self.placement)?;
        self.postmaster = serve(&self.placement, &self.binaries, self.account, &self.options)?;
        Ok(())
    }

    /// Stops and removes the cluster for good.
    ///
    /// # Errors
    /// When Postgres does not stop, or its files cannot be removed.
    pub fn destroy(self) -> Result<(), PostgresError> {
        self.end(&[Signal::QUIT, Signal::KILL])?;
        leftovers::clear(&self.placement)?;
        self.placement.remove(&self.options.data_dir)
    }

    fn end(&self, signals: &[Signal]) -> Result<(), PostgresError> {
        let ended = signals.iter().any(|&signal| {
            self.postmaster.signal(signal);
            self.postmaster.ends_within(STOP_WITHIN).is_some()
        });
        if ended { Ok(()) } else { Err(PostgresError::DoesNotStop { pid: self.pid() }) }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Nobody is left to tell; and Postgres ends with this process at the latest.
        let _best_effort = self.end(&[Signal::INT, Signal::QUIT]);
    }
}

/// Removes the cluster of a data directory that no process uses; `false` when one does.
pub(crate) fn remove_unused(data_dir: &Path) -> Result<bool, PostgresError> {
    let data_dir = data_dir.canonicalize().map_err(PostgresError::io(data_dir))?;
    let _lock = match DirLock::acquire(&data_dir) {
        Err(PostgresError::InUse { .. }) => return Ok(false),
        outcome => outcome?,
    };
    let placement = Placement::decide(&data_dir, &Surroundings::of_this_process());
    leftovers::clear(&placement)?;
    placement.remove(&data_dir)?;
    Ok(true)
}

fn account_for(placement: &Placement, surroundings: &Surroundings) -> Result<Account, PostgresError> {
    let cluster = placement.cluster();
    if !cluster.exists() {
        return Ok(surroundings.account);
    }
    let account = Account::owning(&cluster)
        .map_err(PostgresError::io(&cluster))?
        .map_err(|owner| PostgresError::ForeignCluster { dir: cluster.clone(), owner })?;
    if account.can_reach(&cluster) {
        Ok(account)
    } else {
        Err(PostgresError::Unreachable { dir: cluster, owner: account.uid })
    }
}

fn obtain_binaries(placement: &Placement, account: Account) -> Result<Binaries, PostgresError> {
    let cluster = placement.cluster();
    let made_by = cluster::major_version(&cluster);
    let binaries = match Binaries::find(account, made_by)? {
        Some(found) if made_by.is_none_or(|made_by| made_by == found.major) => return Ok(found),
        // What made the cluster may be what was fetched then.
        Some(found) => install::fetched_before(&placement.home, account).unwrap_or(found),
        None => install::install(&placement.home, account)?,
    };
    match made_by {
        Some(made_by) if made_by != binaries.major => Err(PostgresError::VersionMismatch {
            dir: cluster,
            cluster: made_by,
            found: vec![binaries.major],
        }),
        _ => Ok(binaries),
    }
}

fn serve(
    placement: &Placement,
    binaries: &Binaries,
    account: Account,
    options: &Options,
) -> Result<Postmaster, PostgresError> {
    let log = placement.log();
    let command = cluster::serve(placement, binaries, account, options)?;
    let postmaster = Postmaster::spawn(&binaries.postgres(), command)?;
    match postmaster.serves_within(&placement.cluster(), START_WITHIN) {
        Ok(true) => Ok(postmaster),
        Ok(false) => {
            postmaster.signal(Signal::QUIT);
            Err(PostgresError::TooSlow { within: START_WITHIN, log })
        }
        Err(status) => {
            let last_lines = last_lines(&fs::read_to_string(&log).unwrap_or_default());
            Err(PostgresError::EndedEarly { status, log, last_lines })
        }
    }
}

/// As URLs want it; a slash too, so that a whole path can stand in a query.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte))
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
