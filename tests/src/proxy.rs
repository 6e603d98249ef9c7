//! A wire that can be cut.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Passes TCP connections on to one address until it is cut; then those there are hang, as when a cable is pulled,
/// and new ones are taken and hang too. Ends when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    cut: watch::Sender<bool>,
    /// Holds the listener's task, and through it the connections'.
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Listens on a free port for connections to `target`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn to(target: String) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (cut, is_cut) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((inside, _)) = listener.accept().await {
                connections.spawn(pass(inside, target.clone(), is_cut.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, cut, _tasks: tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts the wire for good.
    pub fn cut(&self) {
        self.cut.send_replace(true);
    }
}

async fn pass(mut inside: TcpStream, target: String, mut is_cut: watch::Receiver<bool>) {
    let carried = async {
        if let Ok(mut outside) = TcpStream::connect(target).await {
            // Either side leaving ends the connection; nothing is to be told of it.
            let _left = copy_bidirectional(&mut inside, &mut outside).await;
        }
    };
    let pulled = async {
        if is_cut.wait_for(|cut| *cut).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = carried => return,
        () = pulled => {}
    }
    // Neither read nor closed: its other end learns nothing.
    std::future::pending::<()>().await;
}
