use std::io::{self, BufRead};
use std::thread;

use bytes::Bytes;
use tokio::sync::mpsc;

/// Records that may wait to be published; the reader waits when there are more.
const WAITING: usize = 1_000;

/// The records of an input, read by a thread of its own: a read cannot be cut short, and the process must be able to
/// end during one.
#[derive(Debug)]
pub(super) struct Records(mpsc::Receiver<io::Result<Bytes>>);

impl Records {
    /// Starts to read.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn read(input: impl BufRead + Send + 'static, delimiter: u8) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(WAITING);
        thread::Builder::new()
            .name("records".to_owned())
            .spawn(move || send_all(input, delimiter, &sender))?;
        Ok(Self(receiver))
    }

    /// The next record, and those behind it that are there already, `most` in all; none at the end of the input.
    /// Nothing is lost when this is dropped before it is done.
    pub(super) async fn next(&mut self, most: usize) -> io::Result<Vec<Bytes>> {
        let mut batch = Vec::new();
        self.0.recv_many(&mut batch, most).await;
        batch.into_iter().collect()
    }
}

fn send_all(mut input: impl BufRead, delimiter: u8, sender: &mpsc::Sender<io::Result<Bytes>>) {
    while let Some(record) = next_record(&mut input, delimiter).transpose() {
        let is_last = record.is_err();
        if sender.blocking_send(record).is_err() || is_last {
            return;
        }
    }
}

/// The next record that is not empty, without its delimiter. What follows the last delimiter is a record as well.
fn next_record(input: &mut impl BufRead, delimiter: u8) -> io::Result<Option<Bytes>> {
    loop {
        let mut record = Vec::new();
        if input.read_until(delimiter, &mut record)? == 0 {
            return Ok(None);
        }
        if record.last() == Some(&delimiter) {
            record.pop();
        }
        if !record.is_empty() {
            return Ok(Some(record.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: &str, delimiter: u8, expect: &[&str]) {
        let mut input = input.as_bytes();
        let records = std::iter::from_fn(|| next_record(&mut input, delimiter).unwrap());
        assert_eq!(records.collect::<Vec<_>>(), expect);
    }

    #[test]
    fn empty_records_are_passed_over_and_the_last_needs_no_delimiter() {
        check("", b'\n', &[]);
        check("\n\n", b'\n', &[]);
        check("one\n\ntwo\n", b'\n', &["one", "two"]);
        check("one\ntwo", b'\n', &["one", "two"]);
        check("a,b\n,", b',', &["a", "b\n"]);
    }
}
