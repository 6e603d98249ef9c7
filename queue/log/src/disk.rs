//! The file system, as far as a log needs it, behind a trait: tests put one there that fails and forgets.

mod real;

use std::fmt;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use real::RealDisk;

/// How to open a file for reading and writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// It must exist.
    Existing,
    /// It must not exist.
    New,
}

/// Directories and the names in them. A name is durable only after [`sync_dir`](Disk::sync_dir).
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Makes `path` and what is missing above it; nothing happens where it exists.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// The names in `path`, in no order; those that are not UTF-8 are left out.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Opens a file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;
    /// Puts `from` in the place of `to`, at once.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes the name of a file; open handles keep its content.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory and all in it.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in `path` durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// An open file. What was written is durable only after [`sync_data`](DiskFile::sync_data).
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// Bytes in the file.
    fn length(&self) -> io::Result<u64>;
    /// Reads at `offset`; fewer bytes than asked for are no error, 0 is the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes a part of `buffers` at `offset` and says how many bytes that was.
    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<usize>;
    /// Cuts or extends the file.
    fn set_length(&self, length: u64) -> io::Result<()>;
    /// Makes content and length durable.
    fn sync_data(&self) -> io::Result<()>;
}

/// Most buffers the system takes in one call.
const MAX_BUFFERS: usize = 1024;

/// Writes all of `buffers` at `offset`.
///
/// # Errors
/// The first that a call reports; a part may have been written then.
pub fn write_all_at(file: &dyn DiskFile, mut buffers: &mut [IoSlice<'_>], mut offset: u64) -> io::Result<()> {
    IoSlice::advance_slices(&mut buffers, 0); // drops empty ones at the front
    while !buffers.is_empty() {
        let count = buffers.len().min(MAX_BUFFERS);
        match file.write_at(&buffers[..count], offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                IoSlice::advance_slices(&mut buffers, written);
                offset += written as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// Writes zeros to all of `range`.
///
/// # Errors
/// The first that a call reports; a part may have been written then.
pub(crate) fn write_zeros_at(file: &dyn DiskFile, range: Range<u64>) -> io::Result<()> {
    let mut left = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
    let mut slices = Vec::with_capacity(left.div_ceil(ZEROS.len()));
    while left > 0 {
        let part = left.min(ZEROS.len());
        slices.push(IoSlice::new(&ZEROS[..part]));
        left -= part;
    }
    write_all_at(file, &mut slices, range.start)
}

/// Fills as much of `buffer` as the file has from `offset` on; says how much that was.
///
/// # Errors
/// The first that a call reports.
pub fn read_full_at(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

/// Replaces the file at `path` by one with `content`, durably and at once: after a crash there is the old file
/// or the new one.
///
/// # Errors
/// The first that a call reports; the old file is then still in place.
pub fn replace_file(disk: &dyn Disk, path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    match disk.remove_file(&temporary) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        Ok(()) | Err(_) => {}
    }
    let file = disk.open(&temporary, OpenMode::New)?;
    write_all_at(file.as_ref(), &mut [IoSlice::new(content)], 0)?;
    file.sync_data()?;
    disk.rename(&temporary, path)?;
    disk.sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// Renames the file at `path` to one that ends in `.damaged`, for a person to look at. The directory is not synced.
/// Returns where it is now.
///
/// # Errors
/// The first that a call reports; the file is then where it was.
pub fn set_aside(disk: &dyn Disk, path: &Path) -> io::Result<PathBuf> {
    let aside = unused_aside(disk, path)?;
    disk.rename(path, &aside)?;
    Ok(aside)
}

/// A name for what becomes of the damaged file at `path` that no earlier one has.
pub(crate) fn unused_aside(disk: &dyn Disk, path: &Path) -> io::Result<PathBuf> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(".seg").unwrap_or(&name);
    let taken = disk.list(dir)?;
    let names = std::iter::once(format!("{stem}.damaged"))
        .chain((2..).map(|number: u32| format!("{stem}-{number}.damaged")));
    let free = names.into_iter().find(|name| !taken.contains(name));
    Ok(dir.join(free.expect("there are more names than files")))
}

/// The content of the file at `path`, or `None` where there is none.
///
/// # Errors
/// The first that a call reports.
pub fn read_file(disk: &dyn Disk, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(path, OpenMode::Existing) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let length = usize::try_from(file.length()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut content = vec![0; length];
    let read = read_full_at(file.as_ref(), &mut content, 0)?;
    content.truncate(read);
    Ok(Some(content))
}
