//! An open file: lines go in, and after a sync they are there for good.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Bytes that are kept in memory before they are written.
const BUFFER_BYTES: usize = 64 * 1024;

/// Lines of a file that is only added to. After an error it is of no more use.
#[derive(Debug)]
pub(super) struct Output {
    file: File,
    gzip: Option<Gzip>,
    /// Bytes for the file, as they are to be written.
    pending: Vec<u8>,
}

/// A file of concatenated gzip streams, one for each sync: a stream is complete once it is synced, so that after a
/// crash all but the last can be read.
#[derive(Debug)]
struct Gzip {
    level: Compression,
    stream: Option<GzEncoder<Vec<u8>>>,
    /// Whether there is no stream in the file yet.
    is_empty: bool,
}

impl Output {
    /// A file that has `bytes` already. A line that a crash cut off is ended, so that it does not run into the next.
    pub(super) fn plain(file: File, bytes: u64) -> io::Result<Self> {
        let mut pending = Vec::new();
        if let Some(last) = bytes.checked_sub(1) {
            let mut byte = [0];
            file.read_exact_at(&mut byte, last)?;
            if byte != *b"\n" {
                pending.push(b'\n');
            }
        }
        Ok(Self { file, gzip: None, pending })
    }

    /// A new file.
    pub(super) fn gzip(file: File, level: Compression) -> Self {
        let gzip = Gzip { level, stream: None, is_empty: true };
        Self { file, gzip: Some(gzip), pending: Vec::new() }
    }

    /// Adds a line; returns its size, its end included. It may stay in memory until the next
    /// [`write`](Self::write), and compressed until the next [`sync`](Self::sync).
    pub(super) fn add(&mut self, line: &[u8]) -> io::Result<u64> {
        match &mut self.gzip {
            None => {
                self.pending.extend_from_slice(line);
                self.pending.push(b'\n');
                if self.pending.len() >= BUFFER_BYTES {
                    self.write()?;
                }
            }
            Some(gzip) => {
                let stream = gzip.stream.get_or_insert_with(|| GzEncoder::new(Vec::new(), gzip.level));
                stream.write_all(line)?;
                stream.write_all(b"\n")?;
                if stream.get_ref().len() >= BUFFER_BYTES {
                    self.file.write_all(stream.get_ref())?;
                    stream.get_mut().clear();
                }
            }
        }
        Ok(line.len() as u64 + 1)
    }

    /// Hands the lines to the system, as far as they are not being compressed.
    pub(super) fn write(&mut self) -> io::Result<()> {
        self.file.write_all(&self.pending)?;
        self.pending.clear();
        Ok(())
    }

    /// All lines survive whatever happens afterwards, if the file's name does.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if let Some(gzip) = &mut self.gzip
            && let Some(stream) = gzip.stream.take()
        {
            self.pending.extend(stream.finish()?);
            gzip.is_empty = false;
        }
        self.write()?;
        self.file.sync_data()
    }

    /// Syncs for the last time. A compressed file without a line is one empty stream, as readers of gzip expect.
    pub(super) fn close(mut self) -> io::Result<()> {
        if let Some(gzip) = &mut self.gzip
            && gzip.is_empty
        {
            gzip.stream.get_or_insert_with(|| GzEncoder::new(Vec::new(), gzip.level));
        }
        self.sync()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Read;

    use flate2::read::MultiGzDecoder;
    use tempfile::NamedTempFile;

    use super::*;

    fn append_to(path: &NamedTempFile) -> File {
        OpenOptions::new().read(true).append(true).open(path.path()).unwrap()
    }

    fn plain(path: &NamedTempFile) -> Output {
        Output::plain(append_to(path), std::fs::metadata(path.path()).unwrap().len()).unwrap()
    }

    fn content(path: &NamedTempFile) -> String {
        std::fs::read_to_string(path.path()).unwrap()
    }

    /// What can be read of concatenated gzip streams, and whether that is all.
    fn unpacked(bytes: &[u8]) -> (String, bool) {
        let mut text = Vec::new();
        let is_whole = MultiGzDecoder::new(bytes).read_to_end(&mut text).is_ok();
        (String::from_utf8(text).unwrap(), is_whole)
    }

    #[test]
    fn lines_are_added_to_what_a_file_has() {
        let path = NamedTempFile::new().unwrap();
        let mut output = plain(&path);
        assert_eq!(output.add(b"one").unwrap(), 4);
        output.write().unwrap();
        assert_eq!(content(&path), "one\n");
        output.close().unwrap();
        let mut output = plain(&path);
        output.add(b"").unwrap();
        output.add(b"two").unwrap();
        output.close().unwrap();
        assert_eq!(content(&path), "one\n\ntwo\n");
    }

    #[test]
    fn a_line_that_was_cut_off_does_not_run_into_the_next() {
        let path = NamedTempFile::new().unwrap();
        std::fs::write(path.path(), "one\ntw").unwrap();
        let mut output = plain(&path);
        output.add(b"two").unwrap();
        output.close().unwrap();
        assert_eq!(content(&path), "one\ntw\ntwo\n");
    }

    #[test]
    fn every_sync_completes_a_gzip_stream_that_can_be_read_without_the_rest() {
        let path = NamedTempFile::new().unwrap();
        let mut output = Output::gzip(append_to(&path), Compression::new(6));
        output.add(b"one").unwrap();
        output.sync().unwrap();
        output.add(b"two").unwrap();
        output.sync().unwrap();
        let synced = std::fs::read(path.path()).unwrap();
        assert_eq!(unpacked(&synced), ("one\ntwo\n".to_owned(), true));

        // More than the buffer holds, of what does not compress well.
        let noise: Vec<u8> = (0..200_000_u64).map(|i| (i.wrapping_mul(i) >> 7) as u8 | 0x80).collect();
        output.add(&noise).unwrap();
        output.sync().unwrap();
        let longer = std::fs::read(path.path()).unwrap();
        assert_eq!(longer[..synced.len()], synced);
        let mut bytes = Vec::new();
        MultiGzDecoder::new(&longer[..]).read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len(), 8 + noise.len() + 1);
        assert_eq!(unpacked(&longer[..synced.len() + 5]), ("one\ntwo\n".to_owned(), false));
    }

    #[test]
    fn a_compressed_file_without_lines_is_still_one() {
        let path = NamedTempFile::new().unwrap();
        let mut output = Output::gzip(append_to(&path), Compression::new(6));
        output.sync().unwrap();
        assert_eq!(content(&path), "");
        output.close().unwrap();
        assert_eq!(unpacked(&std::fs::read(path.path()).unwrap()), (String::new(), true));

        let mut output = Output::gzip(append_to(&path), Compression::new(6));
        output.add(b"one").unwrap();
        output.sync().unwrap();
        let before = std::fs::metadata(path.path()).unwrap().len();
        output.close().unwrap();
        assert_eq!(std::fs::metadata(path.path()).unwrap().len(), before);
    }
}
