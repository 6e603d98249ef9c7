//! What the files of a topic are called.

use std::path::{Component, Path};

use chrono::{DateTime, FixedOffset};

use super::strftime::strftime;

const REVISION: &str = "<REV>";
const DATETIME: &str = "<DATETIME>";

/// Why files cannot be called as they should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileNameError {
    /// Files are not appended to, so their names must be able to differ.
    #[error("missing <REV> in --filename-format when gzip, rotation, or work dir enabled")]
    NoRevision,
    /// The name leads out of the directory.
    #[error("the file name {name:?} leads out of the output directory")]
    Outside {
        /// The name.
        name: String,
    },
}

/// What all names of one process have in common.
#[derive(Debug, Clone)]
pub(super) struct Naming {
    /// With `<TOPIC>`, `<HOST>`, `<PID>`, `<DATETIME>` and `<REV>` to be replaced.
    pub(super) format: String,
    /// What `<DATETIME>` is.
    pub(super) datetime_format: String,
    /// What `<HOST>` is.
    pub(super) host: String,
    /// What `<PID>` is.
    pub(super) pid: u32,
    /// Whether names end in `.gz`.
    pub(super) gzip: bool,
    /// Whether `<REV>` has a meaning: files have a revision, and are not appended to for ever.
    pub(super) revised: bool,
}

/// The names of one topic's files.
#[derive(Debug, Clone)]
pub(super) struct FileNames {
    format: String,
    datetime_format: String,
}

impl FileNames {
    pub(super) fn new(naming: &Naming, topic: &str) -> Result<Self, FileNameError> {
        let mut format = naming.format.clone();
        match (naming.revised, format.contains(REVISION)) {
            (true, false) => return Err(FileNameError::NoRevision),
            (true, true) => {}
            (false, _) => format = format.replace(REVISION, ""),
        }
        format = format.replace("<TOPIC>", topic).replace("<HOST>", &naming.host);
        format = format.replace("<PID>", &naming.pid.to_string());
        if naming.gzip && !format.ends_with(".gz") {
            format.push_str(".gz");
        }
        let format = format.trim_start_matches('/').to_owned();
        // A topic may be called `..`.
        if !is_inside(&format) || !is_inside(&naming.datetime_format) {
            return Err(FileNameError::Outside { name: format });
        }
        Ok(Self { format, datetime_format: naming.datetime_format.clone() })
    }

    /// The name at this time.
    pub(super) fn at(&self, now: &DateTime<FixedOffset>) -> Stem {
        Stem(self.format.replace(DATETIME, &strftime(&self.datetime_format, now)))
    }
}

fn is_inside(name: &str) -> bool {
    !Path::new(name).components().any(|component| component == Component::ParentDir)
}

/// A name of which only the revision is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stem(String);

impl Stem {
    /// The path below the directory.
    pub(super) fn with(&self, revision: u32) -> String {
        self.0.replace(REVISION, &format!("-{revision:06}"))
    }

    /// Whether another revision is another name.
    pub(super) fn has_revision(&self) -> bool {
        self.0.contains(REVISION)
    }
}

/// The host's part of file names: its name up to the first dot, unless `identifier` says otherwise.
pub(super) fn host(identifier: &str, hostname: &str) -> String {
    let short = hostname.split('.').next().unwrap_or(hostname);
    match identifier {
        "" => short.to_owned(),
        identifier => identifier.replace("<SHORT_HOST>", short).replace("<HOSTNAME>", hostname),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming(format: &str) -> Naming {
        Naming {
            format: format.to_owned(),
            datetime_format: "%Y-%m-%d_%H".to_owned(),
            host: "web1".to_owned(),
            pid: 42,
            gzip: false,
            revised: false,
        }
    }

    #[track_caller]
    fn check(naming: &Naming, revision: u32, expect: &str) {
        let names = FileNames::new(naming, "clicks").unwrap();
        let time = DateTime::parse_from_rfc3339("2026-02-03T15:04:05+02:00").unwrap();
        assert_eq!(names.at(&time).with(revision), expect);
    }

    #[test]
    fn names_are_made_as_the_format_says() {
        let default = naming("<TOPIC>.<HOST><REV>.<DATETIME>.log");
        check(&default, 7, "clicks.web1.2026-02-03_15.log");
        check(&Naming { revised: true, ..default.clone() }, 0, "clicks.web1-000000.2026-02-03_15.log");
        let gzip = Naming { revised: true, gzip: true, ..default };
        check(&gzip, 1_234_567, "clicks.web1-1234567.2026-02-03_15.log.gz");
        check(&Naming { gzip: true, revised: true, ..naming("a<REV>.gz") }, 1, "a-000001.gz");
        check(&naming("/<TOPIC>/<DATETIME>/<PID>"), 0, "clicks/2026-02-03_15/42");
        let dated = Naming { datetime_format: "%Y/%m".to_owned(), ..naming("<DATETIME>/<TOPIC>") };
        check(&dated, 0, "2026/02/clicks");
    }

    #[test]
    fn a_format_without_revision_is_refused_where_files_need_one() {
        let naming = Naming { revised: true, ..naming("<TOPIC>.log") };
        assert_eq!(FileNames::new(&naming, "clicks").unwrap_err(), FileNameError::NoRevision);
    }

    #[test]
    fn no_topic_leads_out_of_the_directory() {
        let refused = FileNames::new(&naming("<TOPIC>/<DATETIME>"), "..");
        assert_eq!(refused.unwrap_err(), FileNameError::Outside { name: "../<DATETIME>".to_owned() });
        assert!(FileNames::new(&naming("<TOPIC>.<DATETIME>"), "..").is_ok());
    }

    #[test]
    fn the_host_is_the_short_name_unless_said_otherwise() {
        assert_eq!(host("", "web1.example.org"), "web1");
        assert_eq!(host("", "web1"), "web1");
        assert_eq!(host("rack3-<SHORT_HOST>", "web1.example.org"), "rack3-web1");
        assert_eq!(host("<HOSTNAME>", "web1.example.org"), "web1.example.org");
    }
}
