//! The data files: made once, then served with our settings.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rustix::process::Signal;

use crate::account::Account;
use crate::binaries::Binaries;
use crate::placement::Placement;
use crate::postmaster::dies_with_its_parent;
use crate::{Options, PostgresError};

/// The superuser of every cluster.
pub(crate) const SUPERUSER: &str = "postgres";

/// Where the port of a cluster without TCP matters only as part of the socket's name.
const DEFAULT_PORT: u16 = 5432;

/// C.UTF-8 where the system has it, since `lower('É')` should work; plain C is everywhere.
const LOCALES: [&str; 2] = ["C.UTF-8", "C"];

/// The port in the socket's name and, when asked for, of TCP.
pub(crate) fn port(options: &Options) -> u16 {
    options.listen_tcp.unwrap_or(DEFAULT_PORT)
}

/// The major version that made the cluster; `None` when there is none yet.
pub(crate) fn major_version(cluster: &Path) -> Option<u32> {
    fs::read_to_string(cluster.join("PG_VERSION")).ok()?.trim().parse().ok()
}

/// Makes the cluster. It appears whole or not at all: what an interrupted attempt left is made anew.
pub(crate) fn create(
    placement: &Placement,
    binaries: &Binaries,
    account: Account,
) -> Result<(), PostgresError> {
    let unfinished = placement.home.join("cluster.new");
    write_password(&placement.password(), account)?;
    let mut outcome = Ok(());
    for locale in LOCALES {
        remove_dir(&unfinished)?;
        let mut initdb = program(&binaries.initdb(), placement, account);
        initdb
            .args(["--username", SUPERUSER, "--encoding=UTF8", "--no-instructions"])
            .args(["--auth-local=trust", "--auth-host=scram-sha-256"])
            .arg(format!("--locale={locale}"))
            .arg("--pwfile")
            .arg(placement.password())
            .arg("-D")
            .arg(&unfinished);
        outcome = run(initdb);
        if outcome.is_ok() {
            let cluster = placement.cluster();
            return fs::rename(&unfinished, &cluster).map_err(PostgresError::io(&cluster));
        }
    }
    outcome
}

/// The command that serves the cluster in the foreground.
pub(crate) fn serve(
    placement: &Placement,
    binaries: &Binaries,
    account: Account,
    options: &Options,
) -> Result<Command, PostgresError> {
    let mut command = program(&binaries.postgres(), placement, account);
    command.arg("-D").arg(placement.cluster());
    // Always named: a build's own default may be a directory that others may not write to.
    command.arg("-k").arg(&placement.socket_dir);
    command.args(["-p", &port(options).to_string()]);
    let addresses = if options.listen_tcp.is_some() { "127.0.0.1" } else { "" };
    let ours = [
        ("listen_addresses", addresses),
        ("unix_socket_permissions", "0700"),
        ("max_connections", "200"),
        ("shared_buffers", "128MB"),
        ("log_checkpoints", "off"),
        // Said aloud because tests of durability lean on them.
        ("fsync", "on"),
        ("synchronous_commit", "on"),
    ];
    for (name, value) in ours {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    for (name, value) in &options.settings {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    let log = open_log(placement)?;
    let stdout = log.try_clone().map_err(PostgresError::io(&placement.log()))?;
    command.stdin(std::process::Stdio::null()).stdout(stdout).stderr(log);
    Ok(command)
}

/// A program of Postgres's, run as `account` in a directory that it can enter, and without what this process's
/// environment would make of it.
fn program(path: &Path, placement: &Placement, account: Account) -> Command {
    let mut command = Command::new(path);
    account.applied_to(&mut command).current_dir(&placement.home);
    for (name, _) in std::env::vars_os() {
        let ours = name.to_str().is_some_and(|name| name.starts_with("PG") || name == "NOTIFY_SOCKET");
        if ours {
            command.env_remove(name);
        }
    }
    command
}

fn run(mut command: Command) -> Result<(), PostgresError> {
    dies_with_its_parent(&mut command, Signal::TERM);
    let program = PathBuf::from(command.get_program());
    let Output { status, stdout, stderr } = command.output().map_err(PostgresError::spawn(&program))?;
    if status.success() {
        return Ok(());
    }
    let output = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Err(PostgresError::Failed { program: name, status, output: last_lines(&output) })
}

/// The last twenty lines.
pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

fn write_password(path: &Path, account: Account) -> Result<(), PostgresError> {
    let failed = || PostgresError::io(path);
    let mut random = [0_u8; 16];
    File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut random)).map_err(failed())?;
    let password: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    remove_file(path)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed())?;
    file.write_all(password.as_bytes()).map_err(failed())?;
    account.give(path).map_err(failed())
}

/// A fresh log for each start; that of the start before is kept beside it.
fn open_log(placement: &Placement) -> Result<File, PostgresError> {
    let log = placement.log();
    let _first_start = fs::rename(&log, log.with_extension("previous"));
    OpenOptions::new().append(true).create(true).mode(0o600).open(&log).map_err(PostgresError::io(&log))
}

fn remove_dir(dir: &Path) -> Result<(), PostgresError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(PostgresError::io(dir)(error)),
        _ => Ok(()),
    }
}

fn remove_file(path: &Path) -> Result<(), PostgresError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(PostgresError::io(path)(error)),
        _ => Ok(()),
    }
}
