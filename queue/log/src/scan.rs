//! Walking over the frames of one segment, and finding the way again behind a damaged one.

use std::io;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};

use crate::disk::{DiskFile, read_full_at};
use crate::frame::{FrameKey, HEADER_BYTES};

/// What lies at the place a walk has come to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Record {
        offset: u32,
        record: Bytes,
    },
    /// Bytes that are no frame, with a good header behind them.
    Damaged {
        from: u32,
        to: u32,
    },
    /// No more frames before the limit.
    End {
        offset: u32,
        /// How far behind `offset` the last byte lies that is not zero; 0 where all are.
        garbage_bytes: u32,
    },
}

/// What a search has in memory at a time, at least.
const SEARCHED_BYTES: u32 = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Scanner {
    file: Arc<dyn DiskFile>,
    key: FrameKey,
    /// Where the next frame begins; `buffer` holds the bytes from there on.
    offset: u32,
    limit: u32,
    buffer: BytesMut,
    read_ahead: usize,
}

impl Scanner {
    /// A walk from `offset` to `limit` that reads at least `read_ahead` bytes at a time.
    pub(crate) fn new(
        file: Arc<dyn DiskFile>,
        key: FrameKey,
        offset: u32,
        limit: u32,
        read_ahead: usize,
    ) -> Self {
        Self { file, key, offset, limit, buffer: BytesMut::new(), read_ahead }
    }

    pub(crate) fn key(&self) -> FrameKey {
        self.key
    }

    pub(crate) fn offset(&self) -> u32 {
        self.offset
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    /// Moves the limit on, after more was written.
    pub(crate) fn extend(&mut self, limit: u32) {
        self.limit = self.limit.max(limit);
    }

    pub(crate) fn next(&mut self) -> io::Result<Found> {
        let offset = self.offset;
        if !self.fill(HEADER_BYTES)? {
            return self.search();
        }
        let Some(header) = self.header_at(0) else {
            return self.search();
        };
        let length = header.length as usize;
        if !self.fill(HEADER_BYTES + length)? {
            return self.search();
        }
        if crc32fast::hash(&self.buffer[HEADER_BYTES..HEADER_BYTES + length]) != header.checksum {
            // Not stepped over whole: the header may be all that is left of an append that was refused, and records
            // that came in its place stand within its length.
            return self.search();
        }
        self.buffer.advance(HEADER_BYTES);
        let record = self.buffer.split_to(length).freeze();
        self.offset += HEADER_BYTES as u32 + header.length;
        Ok(Found::Record { offset, record })
    }

    /// The header `ahead` bytes into the buffer, if it is one and its record would end before the limit.
    fn header_at(&self, ahead: usize) -> Option<crate::frame::FrameHeader> {
        let bytes = self.buffer.get(ahead..ahead + HEADER_BYTES)?.first_chunk()?;
        if bytes[..4] == [0; 4] {
            return None; // the commonest case by far while searching, told without a checksum
        }
        let offset = self.offset + u32::try_from(ahead).ok()?;
        let length = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let end = offset.checked_add(HEADER_BYTES as u32)?.checked_add(length)?;
        (end <= self.limit).then(|| self.key.decode(offset, *bytes)).flatten()
    }

    /// Has at least `wanted` bytes in the buffer, or says that there are not so many before the limit.
    fn fill(&mut self, wanted: usize) -> io::Result<bool> {
        let have = self.buffer.len();
        if have >= wanted {
            return Ok(true);
        }
        let left = (self.limit - self.offset) as usize - have;
        let more = self.read_ahead.max(wanted - have).min(left);
        self.buffer.resize(have + more, 0);
        let at = u64::from(self.offset) + have as u64;
        let read = read_full_at(self.file.as_ref(), &mut self.buffer[have..], at)?;
        self.buffer.truncate(have + read);
        Ok(self.buffer.len() >= wanted)
    }

    /// Whoever reads single records reads nothing ahead; byte by byte that will not do.
    fn fill_for_search(&mut self) -> io::Result<()> {
        self.fill((self.limit - self.offset).min(SEARCHED_BYTES) as usize).map(drop)
    }

    /// Looks byte by byte for the next good header; without one, this is the end.
    fn search(&mut self) -> io::Result<Found> {
        let from = self.offset;
        let mut garbage_end = from;
        loop {
            let has_header = self.fill(HEADER_BYTES)?;
            self.fill_for_search()?;
            let window = self.buffer.len().saturating_sub(HEADER_BYTES - 1);
            for ahead in 0..window {
                if self.header_at(ahead).is_some() && (self.offset != from || ahead > 0) {
                    self.skip(ahead);
                    return Ok(Found::Damaged { from, to: self.offset });
                }
            }
            let seen = if has_header { window } else { self.buffer.len() };
            if let Some(last) = self.buffer[..seen].iter().rposition(|&byte| byte != 0) {
                garbage_end = self.offset + last as u32 + 1;
            }
            self.skip(seen);
            if !has_header {
                // Back to where the frames ended: more may be written there, and the limit moved.
                self.offset = from;
                self.buffer.clear();
                return Ok(Found::End { offset: from, garbage_bytes: garbage_end - from });
            }
        }
    }

    fn skip(&mut self, bytes: usize) {
        self.buffer.advance(bytes);
        self.offset += bytes as u32;
    }
}
