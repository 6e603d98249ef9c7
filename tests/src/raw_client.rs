//! A connection to a queue node that sends whatever it is told to.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::BytesMut;
use punctual_queue_client::wire::frame::{Frame, MAGIC_V2, OK};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// The longest frame that is taken.
const MAX_FRAME_BYTES: usize = 16 * 1024 * 1024;

/// How long to wait for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client with no manners of its own.
#[derive(Debug)]
pub struct RawClient {
    /// The connection itself.
    pub stream: TcpStream,
    input: BytesMut,
}

impl RawClient {
    /// Connects, and says nothing.
    ///
    /// # Errors
    /// When the node does not take it.
    pub async fn dial(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        Ok(Self { stream, input: BytesMut::new() })
    }

    /// The same, where the system keeps hardly anything for a client that does not read.
    ///
    /// # Errors
    /// When the node does not take it.
    pub async fn dial_without_room(address: &str) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4096)?;
        let stream = socket.connect(address.parse::<SocketAddr>()?).await?;
        Ok(Self { stream, input: BytesMut::new() })
    }

    /// Says that it speaks NSQ's protocol, and these things about itself.
    ///
    /// # Errors
    /// When the node does not take it.
    pub async fn identify(&mut self, json: &str) -> anyhow::Result<()> {
        self.send(MAGIC_V2).await?;
        self.send(&with_body("IDENTIFY\n", json.as_bytes())).await?;
        match self.frame().await? {
            Some(Frame::Response(_)) => Ok(()),
            other => bail!("{other:?} in answer to IDENTIFY"),
        }
    }

    /// Subscribes to a channel.
    ///
    /// # Errors
    /// When the node does not take it.
    pub async fn subscribe(&mut self, topic: &str, channel: &str) -> anyhow::Result<()> {
        self.send(format!("SUB {topic} {channel}\n").as_bytes()).await?;
        self.expect_ok().await
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// When the connection does not take them, soon.
    pub async fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        timeout(PATIENCE, self.stream.write_all(bytes)).await.context("nobody reads")??;
        Ok(())
    }

    /// The next frame; `None` once the node has closed the connection.
    ///
    /// # Errors
    /// When nothing comes for long, or what comes is no frame.
    pub async fn frame(&mut self) -> anyhow::Result<Option<Frame>> {
        loop {
            if let Some(frame) = Frame::decode(&mut self.input, MAX_FRAME_BYTES)? {
                return Ok(Some(frame));
            }
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.input)).await;
            if read.context("neither a frame nor the end came")?.unwrap_or(0) == 0 {
                return Ok(None);
            }
        }
    }

    /// Waits for `OK`.
    ///
    /// # Errors
    /// When something else comes.
    pub async fn expect_ok(&mut self) -> anyhow::Result<()> {
        let answer = self.frame().await?;
        ensure!(matches!(&answer, Some(Frame::Response(data)) if data == OK), "{answer:?} in place of OK");
        Ok(())
    }
}

/// A command's line, and the body that follows it.
pub fn with_body(line: &str, body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len()).unwrap_or(u32::MAX);
    [line.as_bytes(), &size.to_be_bytes(), body].concat()
}
