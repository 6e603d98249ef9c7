//! Frames that stand one after the other in a segment and are written together.

use std::io::IoSlice;
use std::ops::Range;

use bytes::Bytes;

use crate::frame::{FrameHeader, FrameKey, HEADER_BYTES};
use crate::position::Position;
use crate::record::Record;

/// Parts up to this size are copied next to their frame's header; larger ones are written from where they are.
const COPIED_PART_BYTES: usize = 4096;

/// See the module's words.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: u32,
    staged: Vec<u8>,
    pieces: Vec<Piece>,
}

/// A batch, and where it was written.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) position: Position,
    pub(crate) batch: Batch,
}

#[derive(Debug)]
enum Piece {
    Staged(Range<usize>),
    Part(Bytes),
}

impl Batch {
    pub(crate) fn bytes(&self) -> u32 {
        self.bytes
    }

    /// Adds `record` as a frame for `offset`, where the batch ends.
    pub(crate) fn push(&mut self, key: FrameKey, offset: u32, record: &Record) {
        let header = FrameHeader { length: record.length() as u32, checksum: record.checksum() };
        self.stage(&key.encode(offset, header));
        for part in record.parts() {
            if part.len() <= COPIED_PART_BYTES {
                self.stage(part);
            } else {
                self.pieces.push(Piece::Part(part.clone()));
            }
        }
        self.bytes += HEADER_BYTES as u32 + header.length;
    }

    fn stage(&mut self, bytes: &[u8]) {
        let start = self.staged.len();
        self.staged.extend_from_slice(bytes);
        match self.pieces.last_mut() {
            Some(Piece::Staged(range)) => range.end = self.staged.len(),
            Some(Piece::Part(_)) | None => self.pieces.push(Piece::Staged(start..self.staged.len())),
        }
    }

    /// What it consists of, in order.
    pub(crate) fn slices(&self) -> impl Iterator<Item = IoSlice<'_>> {
        self.pieces.iter().map(|piece| match piece {
            Piece::Staged(range) => IoSlice::new(&self.staged[range.clone()]),
            Piece::Part(part) => IoSlice::new(part),
        })
    }
}
