//! The TCP interface: NSQ's protocol.

mod answers;
mod authorize;
mod clients;
mod closing;
mod connection;
mod execute;
mod gathered;
mod identify;
mod reading;
mod subscription;
mod timing;
mod transport;
mod writing;

use std::io;
use std::sync::Arc;

use punctual_service::socket::Listener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::node::Context;
use crate::topics::Topics;
pub(crate) use clients::Clients;
use connection::Connection;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) context: Arc<Context>,
    pub(crate) topics: Arc<Topics>,
    pub(crate) clients: Arc<Clients>,
}

/// Serves connections until `shutdown`; then they answer what they have accepted, and end.
///
/// # Errors
/// When the listener breaks; what happens on one connection ends that one only.
pub(crate) async fn serve(
    listener: Listener,
    shared: Arc<Shared>,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let stop = shutdown.child_token();
    let mut connections = JoinSet::new();
    let outcome = loop {
        tokio::select! {
            () = stop.cancelled() => break Ok(()),
            Some(ended) = connections.join_next() => report(ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let connection = Connection::new(stream, peer, Arc::clone(&shared));
                    connections.spawn(connection.run(stop.clone()));
                }
                Err(error) => break Err(error),
            },
        }
    };
    drop(listener);
    stop.cancel();
    while let Some(ended) = connections.join_next().await {
        report(ended);
    }
    outcome
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task panicked; the connection was closed");
    }
}
