//! Signals, turned into the cancellation of a token.

use std::convert::Infallible;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The first SIGINT or SIGTERM cancels `token`; the second ends the process at once, with the exit code a shell
/// expects (130 or 143).
///
/// Never returns while it works, since it must stay to see the second signal: race it with the work, as
/// [`Parts::run_until_signalled`](crate::parts::Parts::run_until_signalled) does, instead of adding it as a part.
///
/// # Errors
/// When the process may not listen for signals.
pub async fn on_signals(token: CancellationToken) -> io::Result<Infallible> {
    let mut signals = Signals::install()?;
    let first = signals.next().await;
    tracing::info!(signal = first.name, "stopping; a second signal stops at once");
    token.cancel();
    let second = signals.next().await;
    tracing::warn!(signal = second.name, "stopping at once");
    std::process::exit(second.exit_code)
}

struct Received {
    name: &'static str,
    exit_code: i32,
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn install() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> Received {
        tokio::select! {
            _ = self.interrupt.recv() => Received { name: "SIGINT", exit_code: 130 },
            _ = self.terminate.recv() => Received { name: "SIGTERM", exit_code: 143 },
        }
    }
}
