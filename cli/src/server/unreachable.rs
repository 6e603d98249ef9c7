use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use tonic::{Code, Status};

/// No server answered a call in time.
#[derive(Debug)]
pub(crate) struct Unreachable {
    /// Each server that was tried, and why it did not do.
    pub(crate) tried: Vec<(String, Cause)>,
}

/// Why one server did not do.
#[derive(Debug)]
pub(crate) enum Cause {
    /// Nothing came back.
    Silent(Duration),
    /// The connection failed.
    Failed(String),
    /// The server said that it cannot serve now.
    Unavailable(String),
}

impl Cause {
    /// Why this status means that another server should be asked; `None` when it is an answer.
    pub(crate) fn of(status: &Status) -> Option<Self> {
        match (status.source(), status.code()) {
            // Made on this side, so no server has answered.
            (Some(source), _) => Some(Self::Failed(root(source))),
            (None, Code::Unavailable) => Some(Self::Unavailable(status.message().to_owned())),
            (None, _) => None,
        }
    }
}

/// The innermost cause, which is the one that tells.
fn root(mut error: &(dyn Error + 'static)) -> String {
    while let Some(source) = error.source() {
        error = source;
    }
    match error.downcast_ref::<io::Error>() {
        // `connection refused` rather than `Connection refused (os error 111)`.
        Some(error) if error.raw_os_error().is_some() => error.kind().to_string(),
        _ => error.to_string(),
    }
}

impl Error for Unreachable {}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (server, cause)) in self.tried.iter().enumerate() {
            let start = if index == 0 { "cannot reach" } else { "\n       nor" };
            write!(f, "{start} {server}: {cause}")?;
        }
        if self.tried.iter().all(|(_, cause)| matches!(cause, Cause::Unavailable(_))) {
            return f
                .write_str("\nThe scheduler runs but cannot serve now: try again, or look into its log.");
        }
        f.write_str(
            "\nIs a scheduler running? Start one with: punctual dev\nElsewhere? Name it with: --server URL",
        )
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(after) => {
                write!(f, "no answer within {}", humantime::format_duration(rounded(*after)))
            }
            Self::Failed(cause) | Self::Unavailable(cause) => f.write_str(cause),
        }
    }
}

/// What was left of a time-out, as it was meant: 199.9 ms is 200 ms.
fn rounded(duration: Duration) -> Duration {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX - 5);
    Duration::from_millis((millis + 5) / 10 * 10)
}
