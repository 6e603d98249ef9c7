//! A Postgres for the length of a chore.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::Context;
use punctual_postgres::ThrowAway;

use crate::{cargo, workspace};

/// A Postgres for the length of a chore: the one that `DATABASE_URL` names, or one of our own that goes with this.
#[derive(Debug)]
pub(crate) enum Database {
    Given(String),
    Own(ThrowAway),
}

impl Database {
    /// The one that was given, or one of our own.
    pub(crate) fn obtain() -> anyhow::Result<Self> {
        match std::env::var("DATABASE_URL") {
            Ok(url) => Ok(Self::Given(url)),
            Err(_) => Self::own(),
        }
    }

    fn own() -> anyhow::Result<Self> {
        Ok(Self::Own(throw_away()?))
    }

    /// Its URL, with a database that may be used for anything.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Given(url) => url.clone(),
            Self::Own(own) => own.postgres().url("postgres"),
        }
    }
}

/// A Postgres of our own, in cargo's target directory where Postgres can reach it.
pub(crate) fn throw_away() -> anyhow::Result<ThrowAway> {
    let parent = workspace::target_dir()?.join("postgres");
    ThrowAway::start(&parent, Vec::new()).context("could not start a Postgres for this chore")
}

/// Runs a command with `DATABASE_URL` set.
pub(crate) fn with(command: &[OsString]) -> anyhow::Result<ExitCode> {
    let [program, arguments @ ..] = command else { anyhow::bail!("no command given") };
    let database = Database::own()?;
    let status = cargo::run(Command::new(program).args(arguments).env("DATABASE_URL", database.url()))?;
    Ok(cargo::exit_code(status))
}
