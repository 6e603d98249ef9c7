use std::fmt;
use std::io;

use punctual_proto::json::JsonError;

/// What is wrong with job files, all of it.
#[derive(Debug)]
pub(crate) struct FileErrors(pub(crate) Vec<FileError>);

impl std::error::Error for FileErrors {}

impl fmt::Display for FileErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let start = if index == 0 { "" } else { "\nerror: " };
            write!(f, "{start}{error}")?;
        }
        Ok(())
    }
}

impl From<FileError> for FileErrors {
    fn from(error: FileError) -> Self {
        Self(vec![error])
    }
}

/// One thing that is wrong with one file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It could not be read.
    #[error("cannot read {file}: {source}")]
    Unreadable { file: String, source: io::Error },
    /// A folder without job files.
    #[error("no .yaml, .yml or .json file in {folder}")]
    EmptyFolder { folder: String },
    /// It is not YAML. The text says at which line and column.
    #[error("{file}: {source}")]
    Yaml { file: String, source: serde_yaml_ng::Error },
    /// It is not JSON. The text says at which line and column.
    #[error("{file}: {source}")]
    Json { file: String, source: serde_json::Error },
    /// It is YAML or JSON, but not of jobs.
    #[error("{file}: expected jobs, found {found}; write `jobs:` and a list of them")]
    NoJobs { file: String, found: String },
    /// Something beside `jobs`.
    #[error("{file}: `{field}` does not belong beside `jobs`")]
    Beside { file: String, field: String },
    /// A job that is none.
    #[error("{file}: {}{problem}", named(job.as_deref()))]
    Job { file: String, job: Option<String>, problem: Box<JsonError> },
    /// A job defined twice.
    #[error("job {job} is defined twice{}", twice(files))]
    Twice { job: String, files: [String; 2] },
}

impl FileError {
    pub(super) fn unreadable(file: &str, source: io::Error) -> Self {
        Self::Unreadable { file: file.to_owned(), source }
    }
}

fn named(job: Option<&str>) -> String {
    job.map(|name| format!("job {name}: ")).unwrap_or_default()
}

fn twice(files: &[String; 2]) -> String {
    let [first, second] = files;
    if first == second { format!(" in {first}") } else { format!(", in {first} and in {second}") }
}
