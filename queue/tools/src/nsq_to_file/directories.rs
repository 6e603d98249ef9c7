//! Where files are written, and where they go once they are complete.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Who may enter a directory that is made: its owner and the group.
const DIRECTORY_MODE: u32 = 0o770;

/// The directory for files in progress, and that for complete ones; they may be the same.
#[derive(Debug, Clone)]
pub(super) struct Directories {
    work: PathBuf,
    output: PathBuf,
}

/// A file in progress.
#[derive(Debug)]
pub(super) struct InProgress {
    pub(super) file: File,
    /// What it had when it was opened.
    pub(super) bytes: u64,
}

impl Directories {
    pub(super) fn new(work: PathBuf, output: PathBuf) -> Self {
        Self { work, output }
    }

    /// Whether complete files are elsewhere than those in progress.
    pub(super) fn are_two(&self) -> bool {
        self.work != self.output
    }

    /// Makes both, and says whether a file can be moved from the one to the other without being copied.
    pub(super) fn prepare(&self) -> io::Result<bool> {
        make(&self.work)?;
        make(&self.output)?;
        Ok(fs::metadata(&self.work)?.dev() == fs::metadata(&self.output)?.dev())
    }

    /// The path of a file in progress.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.work.join(name)
    }

    /// Opens a file in progress, whose name is then durable. Unless it has to be `new`, one that is there is added to.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] says that the name is taken, here or among the complete files.
    pub(super) fn open(&self, name: &str, new: bool) -> io::Result<InProgress> {
        let path = self.path(name);
        make(parent(&path))?;
        if self.are_two() {
            let complete = self.output.join(name);
            make(parent(&complete))?;
            if complete.try_exists()? {
                return Err(ErrorKind::AlreadyExists.into());
            }
        }
        let mut options = OpenOptions::new();
        options.read(true).append(true);
        let file = if new { options.create_new(true) } else { options.create(true) }.open(&path)?;
        let bytes = file.metadata()?.len();
        sync(parent(&path))?;
        Ok(InProgress { file, bytes })
    }

    /// Moves a file to the complete ones, where it is called `complete`. Never over another.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] says that the name is taken; the file then is where it was.
    pub(super) fn complete(&self, name: &str, complete: &str) -> io::Result<PathBuf> {
        let (from, to) = (self.path(name), self.output.join(complete));
        make(parent(&to))?;
        // A rename would replace what is there.
        fs::hard_link(&from, &to)?;
        sync(parent(&to))?;
        fs::remove_file(&from)?;
        sync(parent(&from))?;
        Ok(to)
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    }
}

/// Makes a directory and those above it, all of them durable.
fn make(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let above = parent(dir);
    make(above)?;
    match DirBuilder::new().mode(DIRECTORY_MODE).create(dir) {
        Ok(()) => sync(above),
        // Another topic was quicker.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tempfile::TempDir;

    use super::*;

    fn two() -> (TempDir, Directories) {
        let dir = TempDir::new().unwrap();
        let directories = Directories::new(dir.path().join("a/work"), dir.path().join("b/output"));
        (dir, directories)
    }

    #[test]
    fn what_is_there_is_added_to_unless_the_file_has_to_be_new() {
        let dir = TempDir::new().unwrap();
        let one = Directories::new(dir.path().to_owned(), dir.path().to_owned());
        one.open("x/y", false).unwrap().file.write_all(b"abc").unwrap();
        assert_eq!(one.open("x/y", false).unwrap().bytes, 3);
        assert_eq!(one.open("x/y", true).unwrap_err().kind(), ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_complete_file_is_moved_and_replaces_none() {
        let (_dir, two) = two();
        assert!(two.prepare().unwrap());
        two.open("x/y", true).unwrap().file.write_all(b"abc").unwrap();
        let moved = two.complete("x/y", "x/y").unwrap();
        assert_eq!(fs::read(&moved).unwrap(), b"abc");
        assert!(!two.path("x/y").exists());

        assert_eq!(two.open("x/y", true).unwrap_err().kind(), ErrorKind::AlreadyExists);
        two.open("z", true).unwrap();
        assert_eq!(two.complete("z", "x/y").unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert!(two.path("z").exists());
        assert_eq!(fs::read(&moved).unwrap(), b"abc");
    }

    #[test]
    fn a_file_in_the_place_of_a_directory_is_an_error() {
        let (dir, two) = two();
        fs::write(dir.path().join("a"), b"").unwrap();
        assert!(two.open("x", false).is_err());
    }
}
