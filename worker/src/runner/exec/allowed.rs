//! Which programs jobs may start.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The programs named by `--allow-exec`.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::runner) enum AllowedPrograms {
    /// `*` was among them.
    Any,
    /// As given: bare names, or absolute paths.
    Listed(Vec<String>),
}

/// Why a program is not started.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ProgramError {
    #[error("the program {0:?} was not found on this worker")]
    NotFound(String),
    #[error("the program {0:?} is not among those that this worker may start (--allow-exec)")]
    NotAllowed(String),
}

impl AllowedPrograms {
    pub(in crate::runner) fn new(programs: &[String]) -> Self {
        if programs.iter().any(|program| program == "*") {
            Self::Any
        } else {
            Self::Listed(programs.to_vec())
        }
    }

    /// The file to start for `program`, the first word of a job's argv. Bare names are looked up in `path`, the
    /// worker's own; the job's environment has no say in it.
    ///
    /// A listed program and the job's must lead to the same directory entry: directories are resolved, since `/bin`
    /// may be `/usr/bin`, but a file that is a symbolic link is not, since many programs may be links to one.
    pub(super) fn find(
        &self,
        program: &str,
        path: Option<&OsStr>,
        working_dir: &Path,
    ) -> Result<PathBuf, ProgramError> {
        let found = locate(program, path).ok_or_else(|| ProgramError::NotFound(program.to_owned()));
        match self {
            Self::Any if program.contains('/') && !program.starts_with('/') => Ok(working_dir.join(program)),
            Self::Any => found,
            Self::Listed(listed) => {
                let not_allowed = || ProgramError::NotAllowed(program.to_owned());
                if program.contains('/') && !program.starts_with('/') {
                    // Where it leads is for the job's working directory to say.
                    return Err(not_allowed());
                }
                let named = listed.iter().any(|entry| entry == program);
                // Whether a program that is not allowed exists is nobody's business.
                let found = if named { found? } else { found.map_err(|_| not_allowed())? };
                let entry = entry_of(&found);
                let same = listed
                    .iter()
                    .filter(|listed| !listed.contains('/') || listed.starts_with('/'))
                    .filter_map(|listed| locate(listed, path))
                    .any(|listed| entry_of(&listed) == entry);
                if same { Ok(found) } else { Err(not_allowed()) }
            }
        }
    }
}

/// An absolute path as it is, a bare name where it is found first.
fn locate(program: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    if program.is_empty() {
        return None;
    }
    if program.contains('/') {
        return Some(PathBuf::from(program));
    }
    std::env::split_paths(path?)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(program))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// A file's directory, resolved, and its name in it.
fn entry_of(file: &Path) -> PathBuf {
    match (file.parent().map(Path::canonicalize), file.file_name()) {
        (Some(Ok(dir)), Some(name)) => dir.join(name),
        _ => file.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// `usr/bin` with `tool`, `shell` and `link` (to `shell`); `bin` is a link to it; `evil` holds another `tool`.
    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for dir in ["usr/bin", "evil"] {
            std::fs::create_dir_all(root.path().join(dir)).unwrap();
        }
        for file in ["usr/bin/tool", "usr/bin/shell", "evil/tool"] {
            let file = root.path().join(file);
            std::fs::write(&file, "").unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        std::fs::write(root.path().join("usr/bin/data"), "").unwrap();
        symlink(root.path().join("usr/bin"), root.path().join("bin")).unwrap();
        symlink("shell", root.path().join("usr/bin/link")).unwrap();
        root
    }

    /// `@` stands for the root of the tree.
    #[track_caller]
    fn check(allowed: &[&str], program: &str, expect: Result<&str, fn(String) -> ProgramError>) {
        let root = tree();
        let at_root = |text: &str| text.replace('@', root.path().to_str().unwrap());
        let allowed = AllowedPrograms::new(&allowed.iter().map(|entry| at_root(entry)).collect::<Vec<_>>());
        let program = at_root(program);
        let path = at_root("relative:@/usr/bin");
        let found = allowed.find(&program, Some(OsStr::new(&path)), &root.path().join("evil"));
        let expect = expect.map(|file| PathBuf::from(at_root(file))).map_err(|error| error(program));
        assert_eq!(found, expect);
    }

    #[test]
    fn a_listed_program_may_be_named_by_any_path_to_it() {
        check(&["tool"], "tool", Ok("@/usr/bin/tool"));
        check(&["tool"], "@/usr/bin/tool", Ok("@/usr/bin/tool"));
        check(&["tool"], "@/bin/tool", Ok("@/bin/tool"));
        check(&["@/bin/tool"], "tool", Ok("@/usr/bin/tool"));
        check(&["other", "@/usr/bin/tool"], "@/bin/tool", Ok("@/bin/tool"));
        check(&["@/bin/../bin/tool"], "tool", Ok("@/usr/bin/tool"));
    }

    #[test]
    fn nothing_else_is_started() {
        check(&["tool"], "shell", Err(ProgramError::NotAllowed));
        check(&["tool"], "@/evil/tool", Err(ProgramError::NotAllowed));
        check(&["tool"], "./tool", Err(ProgramError::NotAllowed));
        check(&["./tool"], "./tool", Err(ProgramError::NotAllowed));
        check(&["link"], "shell", Err(ProgramError::NotAllowed));
        check(&["shell"], "link", Err(ProgramError::NotAllowed));
        check(&["tool"], "", Err(ProgramError::NotAllowed));
        check(&["tool"], "nowhere", Err(ProgramError::NotAllowed));
        check(&["nowhere"], "nowhere", Err(ProgramError::NotFound));
        check(&["data"], "data", Err(ProgramError::NotFound)); // not executable
    }

    #[test]
    fn a_star_allows_any_program() {
        check(&["*"], "shell", Ok("@/usr/bin/shell"));
        check(&["tool", "*"], "@/evil/tool", Ok("@/evil/tool"));
        check(&["*"], "./tool", Ok("@/evil/./tool"));
        check(&["*"], "nowhere", Err(ProgramError::NotFound));
    }
}
