//! The writing end of one log: places records in segments and writes a batch of them with one call.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;

use crate::batch::{Batch, Placed};
use crate::disk::{DiskFile, OpenMode, write_all_at, write_zeros_at};
use crate::error::AppendError;
use crate::frame::{FrameKey, HEADER_BYTES};
use crate::log::Shared;
use crate::position::{Position, SegmentId};
use crate::record::{MAX_RECORD_BYTES, Record};
use crate::segment::{self, SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::sync_pool::DirtyFile;

/// Where a log is written, and what of it is not yet durable.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) active: Option<Active>,
    pub(crate) next_segment: SegmentId,
    pub(crate) next_capacity: u32,
    /// Where the segment before the next one ended.
    pub(crate) previous_end: u32,
    dirty: BTreeMap<SegmentId, DirtyFile>,
    directory_dirty: bool,
    /// Something was cut off that a sync has yet to make last.
    cut_dirty: bool,
}

/// The segment that is written now.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) segment: SegmentId,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn DiskFile>,
    /// Where the next frame goes.
    pub(crate) end: u32,
    /// Up to where the file's blocks have been written.
    pub(crate) zeroed_to: u32,
    /// A part of a batch that was refused may stand behind `end`.
    pub(crate) leftovers: bool,
    pub(crate) capacity: u32,
}

/// What has become of records that were to be written.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// For each where it is now, or why it is not there.
    pub(crate) results: Vec<Result<Position, AppendError>>,
    /// Those that are there, as they were written.
    pub(crate) batches: Vec<Placed>,
}

/// What must be synced before the records written so far may be acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    pub(crate) files: Vec<DirtyFile>,
    pub(crate) directory: bool,
}

/// The batch that is being put together, and which of the results are of it.
#[derive(Debug, Default)]
struct Gathering {
    batch: Batch,
    placed: Vec<usize>,
}

impl Writer {
    pub(crate) fn new(next_segment: SegmentId, next_capacity: u32, previous_end: u32) -> Self {
        Self {
            active: None,
            next_segment,
            next_capacity,
            previous_end,
            dirty: BTreeMap::new(),
            directory_dirty: false,
            cut_dirty: false,
        }
    }

    /// Writes `records` in order.
    pub(crate) fn write(&mut self, shared: &Shared, records: &[Record]) -> Written {
        let mut written = Written { results: Vec::with_capacity(records.len()), batches: Vec::new() };
        let mut gathering = Gathering::default();
        for record in records {
            let record_bytes = record.length();
            if record_bytes == 0 || record_bytes > MAX_RECORD_BYTES {
                written.results.push(Err(AppendError::BadLength { record_bytes }));
                continue;
            }
            let frame_bytes = (HEADER_BYTES + record_bytes) as u32;
            if !self.has_room(gathering.batch.bytes(), frame_bytes) {
                self.flush(shared, &mut gathering, &mut written);
                if let Err(e) = self.roll(shared, frame_bytes) {
                    written.results.push(Err(AppendError::Refused(Arc::new(e))));
                    continue;
                }
            }
            if let Some(active) = &self.active {
                let offset = active.end + gathering.batch.bytes();
                let key = FrameKey { salt: shared.salt, segment: active.segment };
                gathering.batch.push(key, offset, record);
                gathering.placed.push(written.results.len());
                written.results.push(Ok(Position { segment: active.segment, offset }));
            }
        }
        self.flush(shared, &mut gathering, &mut written);
        written
    }

    /// Whether the batches written since the last sync, put where they stand, make all that was written: there is
    /// neither a new file nor something cut off.
    pub(crate) fn is_made_of_batches(&self) -> bool {
        !self.directory_dirty && !self.cut_dirty
    }

    /// Takes what must be synced; the caller syncs it or gives up for good.
    pub(crate) fn take_dirty(&mut self) -> Dirty {
        self.cut_dirty = false;
        Dirty {
            files: std::mem::take(&mut self.dirty).into_values().collect(),
            directory: std::mem::take(&mut self.directory_dirty),
        }
    }

    fn has_room(&self, pending: u32, frame_bytes: u32) -> bool {
        self.active.as_ref().is_some_and(|active| {
            let end = active.end + pending;
            end + frame_bytes <= active.capacity || end == SEGMENT_HEADER_BYTES
        })
    }

    /// Writes the batch at the end of the active segment. A batch that fails leaves nothing behind.
    fn flush(&mut self, shared: &Shared, gathering: &mut Gathering, written: &mut Written) {
        let cut = self.cut_leftovers();
        let Gathering { batch, placed } = std::mem::take(gathering);
        let Some(active) = self.active.as_mut().filter(|_| batch.bytes() > 0) else {
            return;
        };
        self.dirty.entry(active.segment).or_insert_with(|| active.dirty_file());
        let slices = &mut batch.slices().collect::<Vec<_>>();
        match cut.and_then(|()| write_all_at(active.file.as_ref(), slices, u64::from(active.end))) {
            Ok(()) => {
                let position = Position { segment: active.segment, offset: active.end };
                active.end += batch.bytes();
                active.write_zeros_ahead(shared);
                shared.index.lock().end = Position { offset: active.end, ..position };
                written.batches.push(Placed { position, batch });
            }
            Err(e) => {
                active.leftovers = true;
                // Should it not succeed, it is tried again before anything else is written.
                let _ = self.cut_leftovers();
                let e = Arc::new(e);
                for index in placed {
                    written.results[index] = Err(AppendError::Refused(Arc::clone(&e)));
                }
            }
        }
    }

    /// Cuts off what a batch that was refused left behind: beside records that come in its place it would be taken
    /// for others.
    fn cut_leftovers(&mut self) -> io::Result<()> {
        let Some(active) = self.active.as_mut().filter(|active| active.leftovers) else {
            return Ok(());
        };
        active.file.set_length(u64::from(active.end))?;
        active.zeroed_to = active.end;
        active.leftovers = false;
        self.cut_dirty = true;
        self.dirty.entry(active.segment).or_insert_with(|| active.dirty_file());
        Ok(())
    }

    /// Closes the active segment and begins the next, with room for a frame of `frame_bytes` at least.
    fn roll(&mut self, shared: &Shared, frame_bytes: u32) -> io::Result<()> {
        if shared.is_closed() {
            // Its directory may be gone, and another log's in its place.
            return Err(io::Error::other("the log is closed"));
        }
        self.cut_leftovers()?;
        let previous_end = self.active.as_ref().map_or(self.previous_end, |active| active.end);
        let segment = self.next_segment;
        let capacity = self.next_capacity.max(SEGMENT_HEADER_BYTES + frame_bytes);
        let path = segment::path(&shared.dir, segment);
        let header = SegmentHeader { segment, salt: shared.salt, capacity, previous_end, rewritten_end: 0 };
        let file = make(shared, &path, header)?;
        if let Some(old) = self.active.take()
            && let Err(e) = old.file.set_length(u64::from(old.end))
        {
            // Nothing depends on it: a reader takes trailing zeros for the end as well.
            tracing::debug!(segment.path = %old.path.display(), error = %e, "could not trim a full segment");
        }
        self.next_segment = SegmentId(segment.0 + 1);
        self.next_capacity = shared.options.capacity_after(self.next_capacity);
        self.previous_end = 0;
        self.directory_dirty = true;
        self.dirty.insert(segment, DirtyFile { path: path.clone(), file: Arc::clone(&file) });
        let end = SEGMENT_HEADER_BYTES;
        self.active = Some(Active { segment, path, file, end, zeroed_to: end, leftovers: false, capacity });
        let mut index = shared.index.lock();
        index.begin_segment(segment, previous_end, capacity);
        index.end = Position { segment, offset: end };
        Ok(())
    }
}

/// Makes the file of a segment. One that an earlier try left behind, and could not remove, is in nobody's way.
fn make(shared: &Shared, path: &std::path::Path, header: SegmentHeader) -> io::Result<Arc<dyn DiskFile>> {
    let file = match shared.disk.open(path, OpenMode::New) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            shared.disk.remove_file(path)?;
            shared.disk.open(path, OpenMode::New)?
        }
        opened => opened?,
    };
    if let Err(e) = write_all_at(file.as_ref(), &mut [IoSlice::new(&header.encode())], 0) {
        shared.disk.remove_file(path)?;
        return Err(e);
    }
    Ok(file)
}

impl Active {
    fn dirty_file(&self) -> DirtyFile {
        DirtyFile { path: self.path.clone(), file: Arc::clone(&self.file) }
    }

    /// Has blocks written for the frames to come, so that their sync finds nothing to change but data.
    fn write_zeros_ahead(&mut self, shared: &Shared) {
        if self.end <= self.zeroed_to {
            return;
        }
        let step = self.end.clamp(shared.options.min_zero_step_bytes, shared.options.max_zero_step_bytes);
        let until = (self.end + step).min(self.capacity).max(self.end);
        self.zeroed_to = match write_zeros_at(self.file.as_ref(), u64::from(self.end)..u64::from(until)) {
            Ok(()) => until,
            // A full disk is noticed by the record that finds no room, not by the room kept for it.
            Err(_) => self.end,
        };
    }
}
