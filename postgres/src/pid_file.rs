//! `postmaster.pid`, in which a postmaster says who and how it is.

use std::fs;
use std::path::Path;

/// What a `postmaster.pid` says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PidFile {
    pub(crate) pid: u32,
    /// Whether the postmaster accepts connections.
    pub(crate) ready: bool,
}

impl PidFile {
    /// Reads that of `cluster`. `None` when there is none, or it is being written.
    pub(crate) fn read(cluster: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(cluster.join("postmaster.pid")).ok()?)
    }

    /// Line 1 is the process id (negative for a stand-alone backend), line 8 the state.
    fn parse(text: &str) -> Option<Self> {
        let pid = text.lines().next()?.trim().trim_start_matches('-').parse().ok()?;
        let ready = text.lines().nth(7).is_some_and(|state| state.trim() == "ready");
        Some(Self { pid, ready })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<(u32, bool)>) {
        assert_eq!(PidFile::parse(text).map(|file| (file.pid, file.ready)), expect);
    }

    #[test]
    fn the_first_line_is_the_process_and_the_eighth_its_state() {
        check("312\n/data\n1763\n5432\n/data/socket\n\n  4816897  32800\nready   \n", Some((312, true)));
        check("312\n/data\n1763\n5432\n/data/socket\n\n  4816897  32800\nstarting\n", Some((312, false)));
        check("312\n/data\n1763\n", Some((312, false)));
        check("-77\n/data\n", Some((77, false)));
        check("", None);
        check("\n", None);
        check("garbage\n", None);
    }
}
