//! The files of one topic, one after another.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use bytes::Bytes;
use chrono::{DateTime, FixedOffset};
use flate2::Compression;

use super::directories::{Directories, InProgress};
use super::file_name::{FileNames, Stem};
use super::output::Output;
use super::rotation::{Opened, Rotation};

/// A file could not be opened, written, synced or moved.
#[derive(Debug, thiserror::Error)]
#[error("could not {what} {path:?}")]
pub struct SpoolError {
    /// What failed.
    pub what: &'static str,
    /// The file it failed with.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// How files are written.
#[derive(Debug, Clone)]
pub(super) struct SpoolOptions {
    pub(super) directories: Directories,
    pub(super) rotation: Rotation,
    /// How to compress, if at all.
    pub(super) gzip: Option<Compression>,
    /// Whether a file that nothing was written to is not made.
    pub(super) skip_empty: bool,
}

/// A message's body, and when it came.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) body: Bytes,
    pub(super) at: DateTime<FixedOffset>,
}

/// Writes a topic's messages to files. Blocks. After an error it is of no more use: nothing may be finished then.
#[derive(Debug)]
pub(super) struct Spool {
    options: SpoolOptions,
    names: FileNames,
    /// What the last file was called.
    last: Option<(Stem, u32)>,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    output: Output,
    opened: Opened,
    revision: u32,
}

impl Spool {
    pub(super) fn new(options: SpoolOptions, names: FileNames) -> Self {
        Self { options, names, last: None, current: None }
    }

    /// Writes records, each to the file of its time. Says whether a file was ended on the way: what it has is then
    /// durable, and the rest should be made so.
    pub(super) fn write(&mut self, records: &[Record]) -> Result<bool, SpoolError> {
        let mut has_rotated = false;
        for record in records {
            if self.is_over(&record.at) {
                self.next_file(&record.at)?;
                has_rotated = true;
            }
            self.with_current("write to", |current| {
                current.opened.bytes += current.output.add(&record.body)?;
                Ok(())
            })?;
        }
        self.with_current("write to", |current| current.output.write())?;
        Ok(has_rotated)
    }

    /// Makes all that was written durable.
    pub(super) fn sync(&mut self) -> Result<(), SpoolError> {
        self.with_current("sync", |current| current.output.sync())
    }

    /// Ends the file if its time has come. The next begins at once, unless empty files are to be skipped.
    pub(super) fn tick(&mut self, now: &DateTime<FixedOffset>) -> Result<(), SpoolError> {
        match (self.is_over(now), self.options.skip_empty) {
            (false, _) => Ok(()),
            (true, true) => self.close(),
            (true, false) => self.next_file(now),
        }
    }

    /// Ends the file: syncs it, and moves it to the complete ones. The next message begins another.
    pub(super) fn close(&mut self) -> Result<(), SpoolError> {
        let Some(Current { output, opened, revision }) = self.current.take() else { return Ok(()) };
        let name = opened.stem.with(revision);
        output.close().map_err(self.failure("sync", &name))?;
        if !self.options.directories.are_two() {
            return Ok(());
        }
        for complete in revision.. {
            match self.options.directories.complete(&name, &opened.stem.with(complete)) {
                Ok(path) => {
                    tracing::debug!(?path, "moved a complete file");
                    return Ok(());
                }
                Err(error) if is_taken(&error, &opened.stem) => {
                    tracing::warn!(
                        file = opened.stem.with(complete),
                        "there is a complete file of this name"
                    );
                }
                Err(error) => return Err(self.failure("move", &name)(error)),
            }
        }
        Ok(())
    }

    /// Whether something written at this time needs another file.
    fn is_over(&self, now: &DateTime<FixedOffset>) -> bool {
        let Some(Current { opened, .. }) = &self.current else { return true };
        let cause = self.options.rotation.cause(opened, &self.names.at(now), now);
        if let Some(cause) = cause {
            tracing::debug!(?cause, bytes = opened.bytes, "a file ends");
        }
        cause.is_some()
    }

    fn next_file(&mut self, now: &DateTime<FixedOffset>) -> Result<(), SpoolError> {
        self.close()?;
        let stem = self.names.at(now);
        let mut revision = match &self.last {
            Some((last, revision)) if *last == stem => revision + 1,
            Some(_) | None => 0,
        };
        let InProgress { file, bytes } = loop {
            let name = stem.with(revision);
            match self.open(&name) {
                Ok(opened) if self.options.rotation.is_full(opened.bytes) => {}
                Ok(opened) => break opened,
                Err(error) if is_taken(&error, &stem) => {
                    tracing::warn!(file = name, "there is a file of this name");
                }
                Err(error) => return Err(self.failure("open", &name)(error)),
            }
            revision += 1;
        };
        let name = stem.with(revision);
        tracing::info!(file = ?self.options.directories.path(&name), "opened a file");
        let output = match self.options.gzip {
            Some(level) => Output::gzip(file, level),
            None => Output::plain(file, bytes).map_err(self.failure("read", &name))?,
        };
        self.last = Some((stem.clone(), revision));
        self.current = Some(Current { output, opened: Opened { stem, at: *now, bytes }, revision });
        Ok(())
    }

    /// A compressed file is never added to, for a crash may have left half a stream at its end; nor one that is
    /// rotated by time, whose time would be that of two files.
    fn open(&self, name: &str) -> io::Result<InProgress> {
        let new = self.options.gzip.is_some() || self.options.rotation.interval.is_some();
        self.options.directories.open(name, new)
    }

    /// Does something with the open file, if there is one.
    fn with_current(
        &mut self,
        what: &'static str,
        work: impl FnOnce(&mut Current) -> io::Result<()>,
    ) -> Result<(), SpoolError> {
        let Some(current) = &mut self.current else { return Ok(()) };
        work(current).map_err(|source| {
            let path = self.options.directories.path(&current.opened.stem.with(current.revision));
            SpoolError { what, path, source }
        })
    }

    fn failure(&self, what: &'static str, name: &str) -> impl FnOnce(io::Error) -> SpoolError {
        let path = self.options.directories.path(name);
        move |source| SpoolError { what, path, source }
    }
}

/// Whether another revision may be free.
fn is_taken(error: &io::Error, stem: &Stem) -> bool {
    error.kind() == ErrorKind::AlreadyExists && stem.has_revision()
}

#[cfg(test)]
mod tests;
