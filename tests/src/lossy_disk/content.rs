//! A file's bytes: as they are read, and as they are on the disk.

use super::Survival;

/// What a disk writes wholly or not at all.
const SECTOR_BYTES: usize = 512;

/// A file's bytes.
#[derive(Debug, Default)]
pub(super) struct Content {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// What makes `live` of `durable`, in order, but for what a failed sync lost.
    pending: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    SetLength(usize),
}

impl Content {
    pub(super) fn length(&self) -> usize {
        self.live.len()
    }

    /// What there is of `count` bytes at `offset`.
    pub(super) fn read(&self, offset: usize, count: usize) -> &[u8] {
        let start = offset.min(self.live.len());
        let end = start.saturating_add(count).min(self.live.len());
        &self.live[start..end]
    }

    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.change(Change::Write { offset, bytes: bytes.to_vec() });
    }

    pub(super) fn set_length(&mut self, length: usize) {
        self.change(Change::SetLength(length));
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }

    /// How many changes were not synced yet.
    pub(super) fn unsynced(&self) -> usize {
        self.pending.len()
    }

    /// Makes the first `count` of the unsynced changes durable.
    pub(super) fn sync(&mut self, count: usize) {
        for change in self.pending.drain(..count.min(self.pending.len())) {
            change.apply(&mut self.durable);
        }
    }

    /// A sync that failed: what was written can still be read, and will never be on the disk.
    pub(super) fn lose(&mut self, count: usize) {
        self.pending.drain(..count.min(self.pending.len()));
    }

    /// Leaves what is on the disk, and what `survival` keeps of the rest: sector by sector, each whatever became of
    /// the others.
    pub(super) fn cut_power(&mut self, survival: &mut Survival) {
        for change in std::mem::take(&mut self.pending) {
            for piece in change.sectors().filter(|_| survival.keeps_next()) {
                piece.apply(&mut self.durable);
            }
        }
        self.live.clone_from(&self.durable);
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::SetLength(length) => bytes.resize(*length, 0),
            Self::Write { offset, bytes: written } => {
                let end = offset + written.len();
                bytes.resize(bytes.len().max(end), 0);
                bytes[*offset..end].copy_from_slice(written);
            }
        }
    }

    /// The same in pieces that do not cross from one sector into the next.
    fn sectors(self) -> Box<dyn Iterator<Item = Self>> {
        let Self::Write { offset, bytes } = self else { return Box::new(std::iter::once(self)) };
        let mut start = 0;
        Box::new(std::iter::from_fn(move || {
            let left = bytes.get(start..).filter(|left| !left.is_empty())?;
            let at = offset + start;
            let count = (SECTOR_BYTES - at % SECTOR_BYTES).min(left.len());
            start += count;
            Some(Self::Write { offset: at, bytes: left[..count].to_vec() })
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after_cut(mut content: Content, mut survival: Survival) -> Vec<u8> {
        content.cut_power(&mut survival);
        content.read(0, usize::MAX).to_vec()
    }

    #[test]
    fn what_was_synced_stays_and_what_was_not_is_gone() {
        let mut content = Content::default();
        content.write(0, b"synced");
        content.sync(usize::MAX);
        content.write(6, b", not synced");
        content.write(0, b"S");
        assert_eq!(content.read(0, 100), b"Synced, not synced");
        assert_eq!(after_cut(content, Survival::none()), b"synced");
    }

    #[test]
    fn a_cut_length_comes_back_unless_it_was_synced() {
        let mut content = Content::default();
        content.write(0, b"synced");
        content.sync(usize::MAX);
        content.set_length(2);
        assert_eq!(content.read(0, 100), b"sy");
        assert_eq!(after_cut(content, Survival::none()), b"synced");
    }

    #[test]
    fn what_a_failed_sync_lost_is_read_until_the_power_goes_and_no_later_sync_brings_it_back() {
        let mut content = Content::default();
        content.write(0, b"aa");
        content.sync(usize::MAX);
        content.write(2, b"bb");
        content.lose(usize::MAX);
        content.write(4, b"cc");
        content.sync(usize::MAX);
        assert_eq!(content.read(0, 100), b"aabbcc");
        assert_eq!(after_cut(content, Survival::none()), b"aa\0\0cc");
    }

    #[test]
    fn a_write_of_many_sectors_is_torn_between_them_and_never_within() {
        let torn = (0..50).filter(|seed| {
            let mut content = Content::default();
            content.write(0, &[0; 20 * SECTOR_BYTES]);
            content.sync(usize::MAX);
            content.write(100, &[1; 18 * SECTOR_BYTES]);
            let bytes = after_cut(content, Survival::from_seed(*seed));
            let written = |sector: &[u8]| sector.contains(&1);
            let whole = |sector: &[u8]| sector.windows(2).filter(|pair| pair[0] != pair[1]).count() <= 1;
            assert!(bytes.chunks(SECTOR_BYTES).all(whole), "seed {seed}");
            let kept = bytes.chunks(SECTOR_BYTES).filter(|sector| written(sector)).count();
            (1..19).contains(&kept)
        });
        assert!(torn.count() > 10);
    }
}
