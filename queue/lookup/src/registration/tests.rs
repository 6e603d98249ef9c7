use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::registry::{Bounds, Registry};

const SILENCE: Duration = Duration::from_millis(200);

/// For what must happen; nothing waits this long unless it fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to a daemon with little patience.
async fn connected() -> io::Result<(TcpStream, JoinSet<io::Result<()>>)> {
    let registry = SharedRegistry::new(Registry::new(SILENCE, SILENCE, Bounds { of_node: 1, of_all: 1 }));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut stream = TcpStream::connect(listener.local_addr()?).await?;
    let registrations = Registrations::new(registry, LookupIdentity::default(), SILENCE);
    let mut tasks = JoinSet::new();
    tasks.spawn(registrations.serve(listener.into(), CancellationToken::new()));
    stream.write_all(MAGIC_V1).await?;
    Ok((stream, tasks))
}

#[tokio::test]
async fn a_node_that_says_nothing_is_dropped() -> io::Result<()> {
    let (mut stream, _tasks) = connected().await?;
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await??;
    assert!(answer.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_node_that_sends_a_byte_now_and_then_is_dropped_too() -> io::Result<()> {
    let (mut stream, _tasks) = connected().await?;
    let dripping = async {
        let mut pace = tokio::time::interval(SILENCE / 10);
        while stream.write_all(b"x").await.is_ok() {
            pace.tick().await;
        }
    };
    timeout(PATIENCE, dripping).await?;
    Ok(())
}
