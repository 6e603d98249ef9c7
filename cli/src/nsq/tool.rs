use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};

use anyhow::Context as _;
use clap::Args;
use punctual_queue_tools::error::ToolError;
use punctual_queue_tools::go_flags::{self, Call};
use punctual_service::log;
use punctual_service::parts::Parts;
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
    R: Future<Output = Result<(), ToolError>> + Send + 'static,
{
    let call = go_flags::call::<RoleArgs<A>>(name.as_str(), words).map_err(|error| name.wrong(&error))?;
    let (args, rest) = match call {
        Call::Version => return name.print_version(),
        Call::Help(text) => return Ok(io::stderr().write_all(text.as_bytes())?),
        Call::Run { args, rest } => (args, rest),
    };
    log::init(&args.log);
    warn_of_rest(&rest);
    let shutdown = CancellationToken::new();
    let mut parts = Parts::new(shutdown.clone());
    let work = run(args.options, shutdown);
    parts.add(name.as_str(), async move { Ok(work.await?) });
    match parts.run_until_signalled().await {
        Err(error) if is_broken_pipe(&error) => Ok(()),
        ended => Ok(ended.with_context(|| format!("{name} stopped"))?),
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
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is_pipe = |cause: &(dyn Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    let of_output = |cause: &(dyn Error + 'static)| {
        matches!(cause.downcast_ref::<ToolError>(), Some(ToolError::Output(_)))
    };
    error.chain().any(of_output) && error.chain().any(is_pipe)
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
