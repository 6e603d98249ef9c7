use std::io::{self, Write};
use std::process::ExitCode;

use tonic::Code;

use crate::job::FileErrors;
use crate::server::{Refusal, Unreachable};

/// Why a command did not do what was asked: what to say, and what to exit with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A value on the command line that the parser could not judge.
    #[error("{0}")]
    Usage(String),
    /// A command line under one of NSQ's names that is wrong, in the words that Go has for it.
    #[error("{0}")]
    Flags(String),
    /// Job files that do not hold jobs.
    #[error(transparent)]
    Files(#[from] FileErrors),
    /// A server answered, and said no.
    #[error(transparent)]
    Refused(#[from] Box<Refusal>),
    /// No server answered.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// What was wrong has been said already; this is the exit code that goes with it.
    #[error("already said")]
    Said(ExitStatus),
    /// The answer could not be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    /// A role failed.
    #[error("{0:#}")]
    Role(#[from] anyhow::Error),
}

/// The exit codes that `punctual --help` lists, apart from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    /// 1: the server refused, or something failed.
    Failed = 1,
    /// 2: the command line, or a file named on it, is wrong.
    Usage = 2,
    /// 3: there is no such job, run, calendar or namespace.
    NotFound = 3,
    /// 4: no server could be reached in time.
    Unreachable = 4,
    /// 5: the token is missing, wrong or not enough.
    NotAllowed = 5,
    /// 6: the run that was watched did not succeed.
    RunFailed = 6,
    /// 7: a queue node's files are damaged.
    Damaged = 7,
    /// 8: a queue node's files are whole, but hold what this release does not understand.
    NotUnderstood = 8,
}

impl Failure {
    /// Says what went wrong on stderr and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        // The reader went away, as `head` does: it has what it wanted.
        if matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            return ExitCode::SUCCESS;
        }
        // With stderr closed there is nobody left to tell.
        let _unheard = match self {
            Self::Said(_) => Ok(()),
            Self::Flags(text) => writeln!(io::stderr(), "{text}"),
            _ => writeln!(io::stderr(), "error: {self}"),
        };
        ExitCode::from(self.status() as u8)
    }

    /// The exit code of this failure.
    pub(crate) fn status(&self) -> ExitStatus {
        match self {
            Self::Usage(_) | Self::Flags(_) | Self::Files(_) => ExitStatus::Usage,
            Self::Refused(refusal) => match refusal.code() {
                Code::NotFound => ExitStatus::NotFound,
                Code::Unauthenticated | Code::PermissionDenied => ExitStatus::NotAllowed,
                _ => ExitStatus::Failed,
            },
            Self::Unreachable(_) => ExitStatus::Unreachable,
            Self::Said(status) => *status,
            Self::Output(_) | Self::Role(_) => ExitStatus::Failed,
        }
    }
}
