//! Job files: YAML or JSON, one of them or a folder of them.

mod errors;
mod parse;

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use punctual_proto::v1::Job;

pub(crate) use self::errors::{FileError, FileErrors};
use self::parse::parse;

/// The jobs of one file.
#[derive(Debug)]
pub(crate) struct JobFile {
    /// Its path as given, or `standard input`.
    pub(crate) name: String,
    /// In the order of the file.
    pub(crate) jobs: Vec<Job>,
}

/// Where job files are read from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// `-`
    StandardInput,
    /// A file, or a folder of files.
    Path(PathBuf),
}

impl From<&str> for Source {
    fn from(text: &str) -> Self {
        if text == "-" { Self::StandardInput } else { Self::Path(text.into()) }
    }
}

impl JobFile {
    /// Reads all files before anything is done with any. Jobs without a namespace get `namespace`.
    ///
    /// # Errors
    /// Everything that is wrong, in every file; also a job that two of them define.
    pub(crate) fn read_all(sources: &[Source], namespace: &str) -> Result<Vec<Self>, FileErrors> {
        let mut files = Vec::new();
        let mut errors = Vec::new();
        for source in sources {
            match texts(source) {
                Ok(texts) => {
                    for (name, text) in texts {
                        match Self::parse(&name, &text, namespace) {
                            Ok(file) => files.push(file),
                            Err(found) => errors.extend(found.0),
                        }
                    }
                }
                Err(error) => errors.push(error),
            }
        }
        errors.extend(defined_twice(&files));
        if errors.is_empty() { Ok(files) } else { Err(FileErrors(errors)) }
    }

    /// Reads the text of one file.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) fn parse(name: &str, text: &str, namespace: &str) -> Result<Self, FileErrors> {
        let mut jobs = parse(name, text)?;
        for job in jobs.iter_mut().filter(|job| job.namespace.is_empty()) {
            namespace.clone_into(&mut job.namespace);
        }
        Ok(Self { name: name.to_owned(), jobs })
    }
}

fn texts(source: &Source) -> Result<Vec<(String, String)>, FileError> {
    let path = match source {
        Source::StandardInput => {
            let mut text = String::new();
            io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| FileError::unreadable("standard input", error))?;
            return Ok(vec![("standard input".to_owned(), text)]);
        }
        Source::Path(path) => path,
    };
    let name = path.display().to_string();
    let paths = if path.is_dir() {
        let paths = folder(path).map_err(|error| FileError::unreadable(&name, error))?;
        if paths.is_empty() {
            return Err(FileError::EmptyFolder { folder: name });
        }
        paths
    } else {
        vec![path.clone()]
    };
    let read = |path: PathBuf| {
        let name = path.display().to_string();
        match fs::read_to_string(&path) {
            Ok(text) => Ok((name, text)),
            Err(error) => Err(FileError::unreadable(&name, error)),
        }
    };
    paths.into_iter().map(read).collect()
}

/// The job files in a folder, by name. Hidden files and folders within are left out.
fn folder(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let extension = path.extension().and_then(|extension| extension.to_str());
        if !hidden && matches!(extension, Some("yaml" | "yml" | "json")) && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn defined_twice(files: &[JobFile]) -> Vec<FileError> {
    let mut first: HashMap<(&str, &str), &str> = HashMap::new();
    let mut twice = Vec::new();
    for file in files {
        for job in file.jobs.iter().filter(|job| !job.name.is_empty()) {
            if let Some(earlier) = first.insert((&job.namespace, &job.name), &file.name) {
                twice.push(FileError::Twice {
                    job: job.name.clone(),
                    files: [earlier.to_owned(), file.name.clone()],
                });
            }
        }
    }
    twice
}

#[cfg(test)]
mod tests;
