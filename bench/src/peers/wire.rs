//! One connection, read into a buffer that is looked at in whole items.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, ensure};

/// Room for what arrives at a time.
const INPUT_BYTES: usize = 256 * 1024;
/// A server that owes an answer for so long has lost it.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a consumer waits before it looks whether it is still wanted.
pub(super) const MOMENT: Duration = Duration::from_millis(50);

/// A connection.
pub(super) struct Wire {
    stream: TcpStream,
    input: Vec<u8>,
    /// What has arrived and was not taken yet.
    from: usize,
    to: usize,
}

impl Wire {
    pub(super) fn connect(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        Ok(Self { stream, input: vec![0; INPUT_BYTES], from: 0, to: 0 })
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// A second handle, to send while another thread receives.
    pub(super) fn sender(&self) -> io::Result<TcpStream> {
        self.stream.try_clone()
    }

    /// From now on [`items`](Self::items) waits for a moment only.
    pub(super) fn be_impatient(&self) -> io::Result<()> {
        self.stream.set_read_timeout(Some(MOMENT))
    }

    /// Waits for something to arrive, then shows `take` what has not been taken: it answers how many bytes the item at
    /// the front has, `None` while that is not whole. How many items it took; 0 when nothing arrived.
    pub(super) fn items(
        &mut self,
        mut take: impl FnMut(&[u8]) -> anyhow::Result<Option<usize>>,
    ) -> anyhow::Result<usize> {
        let mut taken = 0;
        while taken == 0 {
            if !self.fill()? {
                return Ok(0);
            }
            while let Some(bytes) = take(&self.input[self.from..self.to])? {
                self.from += bytes;
                taken += 1;
            }
        }
        Ok(taken)
    }

    /// Sends a command and waits for its one answer, whose `length` is told from its beginning; its bytes.
    pub(super) fn ask(
        &mut self,
        command: &[u8],
        length: impl Fn(&[u8]) -> anyhow::Result<Option<usize>>,
    ) -> anyhow::Result<Vec<u8>> {
        self.send(command)?;
        let mut answer = Vec::new();
        let came = self.items(|input| {
            if !answer.is_empty() {
                return Ok(None);
            }
            let bytes = length(input)?;
            answer.extend_from_slice(&input[..bytes.unwrap_or(0)]);
            Ok(bytes)
        })?;
        ensure!(came == 1, "no answer to {}", String::from_utf8_lossy(command).trim_end());
        Ok(answer)
    }

    /// Whether anything came.
    fn fill(&mut self) -> anyhow::Result<bool> {
        self.input.copy_within(self.from..self.to, 0);
        (self.from, self.to) = (0, self.to - self.from);
        if self.to == self.input.len() {
            self.input.resize(self.to * 2, 0);
        }
        match self.stream.read(&mut self.input[self.to..]) {
            Ok(0) => anyhow::bail!("the server closed the connection"),
            Ok(came) => self.to += came,
            Err(late) if matches!(late.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Ok(false);
            }
            Err(broken) => return Err(broken.into()),
        }
        Ok(true)
    }
}

/// The first line without its end, and how many bytes it has with it.
pub(super) fn text_line(input: &[u8]) -> Option<(&str, usize)> {
    let end = input.windows(2).position(|two| two == b"\r\n")?;
    // What is no text is no line that anybody expects.
    Some((std::str::from_utf8(&input[..end]).unwrap_or_default(), end + 2))
}

/// A number in a server's line.
pub(super) fn number(text: Option<&str>) -> anyhow::Result<usize> {
    let text = text.context("a number is missing")?;
    text.parse().with_context(|| format!("{text} is no number"))
}
