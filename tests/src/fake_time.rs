//! Processes whose wall clock is wrong.

use std::ffi::OsString;
use std::path::Path;

use anyhow::Context;

use crate::debian;

/// The one for programs with threads.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// What the environment of a process must hold for its wall clock to be wrong by `seconds`, by libfaketime. Its monotonic
/// clock is right.
///
/// # Errors
/// When libfaketime is missing and cannot be fetched, with what to install.
pub fn wrong_by(seconds: i64) -> anyhow::Result<Vec<(OsString, OsString)>> {
    let library = match debian::library(Path::new("/"), LIBRARY) {
        Some(library) => library,
        None => debian::library(&debian::unpacked(&["libfaketime"])?, LIBRARY)
            .context("the package libfaketime has no such library")?,
    };
    let variables = [
        ("LD_PRELOAD", library.into_os_string()),
        ("FAKETIME", format!("{seconds:+}").into()),
        // Only what the clock on the wall shows is wrong: timers of a process go by the other one.
        ("DONT_FAKE_MONOTONIC", "1".into()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
    ];
    Ok(variables.map(|(name, value)| (OsString::from(name), value)).into())
}
