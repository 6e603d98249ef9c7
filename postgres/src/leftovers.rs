//! What an earlier Postgres of the same cluster left behind.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::PostgresError;
use crate::pid_file::PidFile;
use crate::placement::Placement;
use crate::process::{Process, is_postgres};

/// How long each way of asking may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Clears what an earlier Postgres of this cluster left behind, so that the next can start: processes whose owner
/// died before them, and files that name processes which are gone. Call it only while holding the data directory's
/// lock.
pub(crate) fn clear(placement: &Placement) -> Result<(), PostgresError> {
    let cluster = placement.cluster();
    end_processes(&cluster)?;
    remove_pid_file(&cluster);
    remove_socket_files(&placement.socket_dir);
    Ok(())
}

/// The postmaster first, more and more firmly; its children follow it.
fn end_processes(cluster: &Path) -> Result<(), PostgresError> {
    let postmaster = PidFile::read(cluster).map(|file| file.pid);
    for signal in [Signal::INT, Signal::QUIT, Signal::KILL] {
        let processes = Process::of_cluster(cluster);
        let (masters, others): (Vec<_>, Vec<_>) =
            processes.into_iter().partition(|process| Some(process.pid) == postmaster);
        // Without a postmaster its children end by themselves, as soon as they notice.
        let asked = if masters.is_empty() { others.iter() } else { masters.iter() };
        for process in asked.filter(|_| !masters.is_empty() || signal == Signal::KILL) {
            process.signal(signal);
        }
        if masters.iter().chain(&others).all(|process| process.ends_within(PATIENCE)) {
            break;
        }
    }
    match Process::of_cluster(cluster).first() {
        None => Ok(()),
        Some(process) => Err(PostgresError::Leftover { cluster: cluster.to_owned(), pid: process.pid }),
    }
}

/// A postmaster that finds its own kind of file with the id of any living process refuses to start, and in a container
/// the same few ids come back all the time.
fn remove_pid_file(cluster: &Path) {
    // One that names a Postgres we could not look into stays: Postgres itself judges it better.
    if PidFile::read(cluster).is_none_or(|file| !is_postgres(file.pid)) {
        let _often_missing = fs::remove_file(cluster.join("postmaster.pid"));
    }
}

fn remove_socket_files(socket_dir: &Path) {
    let entries = fs::read_dir(socket_dir).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(".s.PGSQL.")) {
        // What cannot be removed Postgres will complain about, with its reason.
        let _best_effort = fs::remove_file(entry.path());
    }
}
