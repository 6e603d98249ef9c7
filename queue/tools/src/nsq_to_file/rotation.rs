//! When a file gives way to the next.

use std::time::Duration;

use chrono::{DateTime, FixedOffset};

use super::file_name::Stem;

/// The limits of one file. Besides, a file ends when its name is no longer the one that the date gives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rotation {
    /// Ends the file when it has more bytes than this, before compression.
    pub(super) bytes: Option<u64>,
    /// Ends the file when it has been open for longer than this.
    pub(super) interval: Option<Duration>,
}

/// What is known of an open file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opened {
    pub(super) stem: Stem,
    pub(super) at: DateTime<FixedOffset>,
    /// Before compression, with what was there when it was opened.
    pub(super) bytes: u64,
}

/// Why a file ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    Name,
    Interval,
    Size,
}

impl Rotation {
    /// Whether the file has to end before something is written at `now`, when files are called `stem`.
    pub(super) fn cause(&self, file: &Opened, stem: &Stem, now: &DateTime<FixedOffset>) -> Option<Cause> {
        let age = (*now - file.at).to_std().unwrap_or_default();
        if file.stem != *stem {
            Some(Cause::Name)
        } else if self.interval.is_some_and(|interval| age > interval) {
            Some(Cause::Interval)
        } else if self.is_full(file.bytes) {
            Some(Cause::Size)
        } else {
            None
        }
    }

    /// Whether a file of this size takes nothing more.
    pub(super) fn is_full(&self, bytes: u64) -> bool {
        self.bytes.is_some_and(|limit| bytes > limit)
    }
}

#[cfg(test)]
mod tests {
    use super::super::file_name::{FileNames, Naming};
    use super::*;

    fn stem(time: &DateTime<FixedOffset>) -> Stem {
        let naming = Naming {
            format: "<DATETIME>".to_owned(),
            datetime_format: "%H".to_owned(),
            host: String::new(),
            pid: 1,
            gzip: false,
            revised: false,
        };
        FileNames::new(&naming, "t").unwrap().at(time)
    }

    /// A file opened at 10:00 with so many bytes, at this time.
    #[track_caller]
    fn check(rotation: Rotation, bytes: u64, time: &str, expect: Option<Cause>) {
        let at = |time: &str| DateTime::parse_from_rfc3339(&format!("2026-02-03T{time}Z")).unwrap();
        let file = Opened { stem: stem(&at("10:00:00")), at: at("10:00:00"), bytes };
        assert_eq!(rotation.cause(&file, &stem(&at(time)), &at(time)), expect);
    }

    #[test]
    fn a_file_ends_with_its_name_its_time_or_its_room() {
        let none = Rotation::default();
        check(none, u64::MAX, "10:59:59", None);
        check(none, 0, "11:00:00", Some(Cause::Name));
        // A clock that was set back.
        check(none, 0, "09:59:59", Some(Cause::Name));

        let sized = Rotation { bytes: Some(100), interval: None };
        check(sized, 100, "10:00:01", None);
        check(sized, 101, "10:00:01", Some(Cause::Size));

        let timed = Rotation { bytes: Some(100), interval: Some(Duration::from_secs(60)) };
        check(timed, 0, "10:01:00", None);
        check(timed, 101, "10:01:01", Some(Cause::Interval));
    }
}
