use std::ffi::OsString;
use std::io::{self, Write};

use clap::Args;
use punctual_queue_tools::error::ToolError;
use punctual_queue_tools::go_flags::{self, Call};
use punctual_service::{log, shutdown};
use tokio_util::sync::CancellationToken;

use super::NsqName;
use crate::failure::Failure;
use crate::role::RoleArgs;

/// Runs a tool until it is done or a signal stops it.
pub(super) async fn run<A, R>(
    name: NsqName,
    words: Vec<OsString>,
    run: impl FnOnce(A, CancellationToken) -> R,
) -> Result<(), Failure>
where
    A: Args,
    R: Future<Output = Result<(), ToolError>>,
{
    let call = go_flags::call::<RoleArgs<A>>(name.as_str(), words).map_err(|error| name.wrong(&error))?;
    let (args, rest) = match call {
        Call::Version => return name.print_version(),
        Call::Help(text) => return Ok(io::stderr().write_all(text.as_bytes())?),
        Call::Run { args, rest } => (args, rest),
    };
    log::init(&args.log);
    warn_of_rest(&rest);
    let stop = CancellationToken::new();
    let signals = shutdown::on_signals(stop.clone());
    let ended = tokio::select! {
        biased; // listen before anything starts: a signal that comes early would end the process unheard
        Err(error) = signals => return Err(anyhow::Error::from(error).context("could not listen for signals").into()),
        ended = run(args.options, stop) => ended,
    };
    match ended {
        Err(error) if is_broken_pipe(&error) => Ok(()),
        ended => Ok(ended.map_err(anyhow::Error::from)?),
    }
}

/// NSQ's programs take no notice of what follows the first word that is no flag, which hides mistakes such as
/// `-print-topic true -n 5`.
pub(super) fn warn_of_rest(rest: &[String]) {
    if !rest.is_empty() {
        tracing::warn!(words = ?rest, "what follows the first word that is no flag is ignored, as NSQ does");
    }
}

/// Whether the reader of the output went away, as `head` does: it has what it wanted.
fn is_broken_pipe(error: &ToolError) -> bool {
    matches!(error, ToolError::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
}

/// There is no web admin yet.
pub(super) fn nsqadmin(words: Vec<OsString>) -> Result<(), Failure> {
    let asks_for_version = |word: &OsString| word == "-version" || word == "--version";
    if words.iter().any(asks_for_version) {
        return NsqName::Nsqadmin.print_version();
    }
    Err(anyhow::anyhow!(
        "this release has no nsqadmin; NSQ's own works with the nodes and lookups of this one: start it with \
         --lookupd-http-address"
    )
    .into())
}
