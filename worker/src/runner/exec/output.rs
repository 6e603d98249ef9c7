//! What a program prints, without the middle.

use std::collections::VecDeque;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{ChildStderr, ChildStdout};

/// How much of the beginning is kept, and how much of the end: together what an attempt's history takes.
const HEAD_BYTES: usize = 512;
const TAIL_BYTES: usize = 4 * 1024 - HEAD_BYTES - GAP_BYTES;

/// Room for the line that stands for what is left out.
const GAP_BYTES: usize = 64;

/// How much is read at once.
const READ_BYTES: usize = 16 * 1024;

/// The pipes of a program.
#[derive(Debug)]
pub(super) struct Pipes {
    pub(super) stdout: Option<ChildStdout>,
    pub(super) stderr: Option<ChildStderr>,
}

/// The beginning and the end of what a program printed, to both pipes in the order of arrival. Bounded, however much
/// it prints.
#[derive(Debug, Default)]
pub(super) struct Captured {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
}

impl Captured {
    /// Reads both pipes to their ends. Can be dropped midway.
    pub(super) async fn fill_from(&mut self, pipes: Pipes) {
        let Pipes { mut stdout, mut stderr } = pipes;
        let (mut from_stdout, mut from_stderr) = (vec![0; READ_BYTES], vec![0; READ_BYTES]);
        while stdout.is_some() || stderr.is_some() {
            tokio::select! {
                read = read(&mut stdout, &mut from_stdout), if stdout.is_some() => self.push(&from_stdout[..read]),
                read = read(&mut stderr, &mut from_stderr), if stderr.is_some() => self.push(&from_stderr[..read]),
            }
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let (head, rest) = bytes.split_at(bytes.len().min(HEAD_BYTES - self.head.len()));
        self.head.extend_from_slice(head);
        let rest = &rest[rest.len().saturating_sub(TAIL_BYTES)..];
        let surplus = (self.tail.len() + rest.len()).saturating_sub(TAIL_BYTES);
        self.tail.drain(..surplus);
        self.tail.extend(rest);
    }

    /// How much was printed in all.
    pub(super) fn total_bytes(&self) -> u64 {
        self.total
    }

    /// What is kept, as text of at most 4 KiB or little more: bytes that are not UTF-8 are replaced.
    pub(super) fn tail(&self) -> String {
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        let left_out = self.total - (self.head.len() + tail.len()) as u64;
        if left_out == 0 {
            // In one piece, so that a character on the seam stays whole.
            return String::from_utf8_lossy(&[self.head.as_slice(), &tail].concat()).into_owned();
        }
        let (head, tail) = (String::from_utf8_lossy(&self.head), String::from_utf8_lossy(&tail));
        format!("{head}\n[… {left_out} bytes left out …]\n{tail}")
    }
}

/// The next bytes of a pipe; at its end, or when it breaks, none, and the pipe is closed.
async fn read<R: AsyncRead + Unpin>(pipe: &mut Option<R>, buffer: &mut [u8]) -> usize {
    let Some(open) = pipe else { return 0 };
    let read = open.read(buffer).await.unwrap_or(0);
    if read == 0 {
        *pipe = None;
    }
    read
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(pieces: &[&[u8]], expect: &str) {
        let mut captured = Captured::default();
        pieces.iter().for_each(|piece| captured.push(piece));
        assert_eq!(captured.tail(), expect);
    }

    #[test]
    fn short_output_is_kept_as_it_is() {
        check(&[], "");
        check(&[b"one\n", b"two\n"], "one\ntwo\n");
        check(&[b"caf\xc3", b"\xa9"], "café");
        check(&[b"\xff"], "\u{fffd}");
        let seam = format!("{}é{}", "x".repeat(HEAD_BYTES - 1), "y".repeat(100));
        check(&[seam.as_bytes()], &seam);
    }

    proptest! {
        #[test]
        fn long_output_keeps_its_beginning_and_its_end(
            pieces in prop::collection::vec((b'a'..=b'z', 0..9_000_usize), 0..12),
        ) {
            let mut captured = Captured::default();
            let mut all = String::new();
            for (letter, count) in pieces {
                let piece = vec![letter; count];
                captured.push(&piece);
                all.push_str(std::str::from_utf8(&piece).unwrap());
            }
            let text = captured.tail();
            prop_assert_eq!(captured.total_bytes(), all.len() as u64);
            prop_assert!(text.len() <= 4 * 1024);
            let (head, tail) = text.split_once("\n[… ").map_or((text.as_str(), text.as_str()), |(head, rest)| {
                (head, rest.split_once("…]\n").unwrap().1)
            });
            prop_assert!(all.starts_with(head) && all.ends_with(tail));
            prop_assert!(all.len() > HEAD_BYTES + TAIL_BYTES || text == all);
        }
    }
}
