//! Keeps two processes from running the Postgres of one data directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use crate::PostgresError;

/// The right to run the Postgres of a data directory, held until dropped or until the process ends. This crate shares
/// no code with the rest, so it has a lock of its own.
#[derive(Debug)]
pub(crate) struct DirLock {
    /// The lock is the open file's. The file stays when the lock goes: another process may be about to lock it.
    _file: File,
}

impl DirLock {
    /// Takes the lock, and writes this process's id into its file for those who come too late.
    pub(crate) fn acquire(data_dir: &Path) -> Result<Self, PostgresError> {
        let path = data_dir.join("postgres.lock");
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = opened.map_err(PostgresError::io(&path))?;
        match file.try_lock() {
            Ok(()) => write_holder(&mut file).map_err(PostgresError::io(&path))?,
            Err(TryLockError::WouldBlock) => {
                let holder = read_holder(&mut file);
                return Err(PostgresError::InUse { data_dir: data_dir.to_owned(), holder });
            }
            Err(TryLockError::Error(error)) => return Err(PostgresError::io(&path)(error)),
        }
        Ok(Self { _file: file })
    }
}

fn write_holder(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// `None` in the moment between taking the lock and writing it down.
fn read_holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
