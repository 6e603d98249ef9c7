use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use comfy_table::Cell;
use serde_json::json;

use super::NsqName;
use crate::failure::Failure;
use crate::output::{OutputArgs, table};

/// Where to make links under NSQ's names.
#[derive(Debug, Args)]
pub(crate) struct LinksArgs {
    /// The directory, such as /usr/local/bin
    dir: PathBuf,

    #[command(flatten)]
    output: OutputArgs,
}

/// What stands where a link is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    /// A link to this very program.
    Same,
    /// A link to another copy of it.
    Former,
    /// Something of somebody else's.
    Foreign,
}

/// Files that are in the way of links, none of which is then made.
#[derive(Debug, thiserror::Error)]
#[error(
    "not made, because these are no links to {program}: {}; remove them, or name another directory",
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
)]
struct InTheWay {
    program: &'static str,
    paths: Vec<PathBuf>,
}

impl LinksArgs {
    /// Makes all links, or none where one cannot be made for what is there.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let program = std::env::current_exe().and_then(fs::canonicalize);
        let program = program.context("could not find this program's own file")?;
        let dir = std::path::absolute(&self.dir).context("could not find the directory")?;
        let done = link_all(&dir, &program)?;
        let objects: Vec<_> = done
            .iter()
            .map(|(path, found)| json!({ "link": path, "program": program, "done": done_word(*found) }))
            .collect();
        let rows =
            done.iter().map(|(path, found)| vec![Cell::new(path.display()), Cell::new(done_word(*found))]);
        self.output.open().print(&objects, |style| {
            format!("{}linked to {}\n", table(style, &["LINK", "DONE"], rows), program.display())
        })?;
        Ok(())
    }
}

fn done_word(found: Found) -> &'static str {
    match found {
        Found::Nothing => "made",
        Found::Same => "unchanged",
        Found::Former | Found::Foreign => "replaced",
    }
}

fn link_all(dir: &Path, program: &Path) -> anyhow::Result<Vec<(PathBuf, Found)>> {
    let look = |name: NsqName| {
        let path = dir.join(name.as_str());
        let found = found(&path, program).with_context(|| format!("could not look at {}", path.display()))?;
        Ok((path, found))
    };
    let found = NsqName::ALL.into_iter().map(look).collect::<anyhow::Result<Vec<_>>>()?;
    let foreign = found.iter().filter(|(_, found)| *found == Found::Foreign);
    let foreign: Vec<_> = foreign.map(|(path, _)| path.clone()).collect();
    if !foreign.is_empty() {
        return Err(InTheWay { program: env!("CARGO_PKG_NAME"), paths: foreign }.into());
    }
    for (path, found) in &found {
        link(path, *found, program).with_context(|| format!("could not link {}", path.display()))?;
    }
    Ok(found)
}

fn found(path: &Path, program: &Path) -> io::Result<Found> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
        Ok(metadata) if !metadata.is_symlink() => return Ok(Found::Foreign),
        Ok(_) => {}
    }
    let target = fs::read_link(path)?;
    Ok(if target == program {
        Found::Same
    } else if target.file_name().is_some_and(|name| name == env!("CARGO_PKG_NAME"))
        || fs::canonicalize(path).is_ok_and(|target| target == program)
    {
        Found::Former
    } else {
        Found::Foreign
    })
}

fn link(path: &Path, found: Found, program: &Path) -> io::Result<()> {
    match found {
        Found::Same => Ok(()),
        Found::Nothing => symlink(program, path),
        Found::Former | Found::Foreign => {
            // A new link takes the old one's place at once: a daemon may be started under the name at any moment.
            let new = path.with_extension(format!("new-{}", std::process::id()));
            symlink(program, &new)?;
            fs::rename(&new, path).inspect_err(|_| {
                // The first error says more than one about cleaning up after it.
                let _left_behind = fs::remove_file(&new);
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(dir: &Path) -> PathBuf {
        dir.join("nsqd")
    }

    #[test]
    fn links_are_made_kept_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (Path::new("/opt/old/punctual"), Path::new("/opt/new/punctual"));
        symlink(old, name(dir.path())).unwrap();
        let done = link_all(dir.path(), new).unwrap();
        assert_eq!(done.len(), NsqName::ALL.len());
        assert_eq!(done[0], (name(dir.path()), Found::Former));
        assert!(done[1..].iter().all(|(_, found)| *found == Found::Nothing));
        assert_eq!(fs::read_link(name(dir.path())).unwrap(), new);
        let again = link_all(dir.path(), new).unwrap();
        assert!(again.iter().all(|(_, found)| *found == Found::Same));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), NsqName::ALL.len());
    }

    #[test]
    fn what_is_not_ours_is_left_alone_and_nothing_else_is_made() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(name(dir.path()), "the real one").unwrap();
        symlink("/usr/bin/true", dir.path().join("to_nsq")).unwrap();
        let error = link_all(dir.path(), Path::new("/opt/punctual")).unwrap_err().to_string();
        assert!(error.contains("/nsqd, ") && error.contains("/to_nsq;"), "{error}");
        assert_eq!(fs::read(name(dir.path())).unwrap(), b"the real one");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
