//! A topic's state as of a place in its log, so that recovery reads only what follows.

use std::path::{Path, PathBuf};

use punctual_queue_log::disk::{Disk, read_file, replace_file, set_aside};
use punctual_queue_log::position::{Position, SegmentId};
use punctual_queue_wire::name::ChannelName;
use serde::{Deserialize, Serialize};

use super::record::ChannelNumber;
use super::segments::Contents;
use super::settings::TopicSettings;
use super::waypoints::{Waypoint, Waypoints};
use crate::channel::DeadLetters;
use crate::error::TopicError;
use crate::message::Sequence;

/// Each has all of it. Without a checkpoint, channels are lost whose making is no longer in the log; a copy, rather
/// than the checkpoint before this one, because it asks for nothing more of the log than the first does.
const FILE_NAMES: [&str; 2] = ["checkpoint", "checkpoint.copy"];

/// Everything about a topic but its messages. Places are packed as in
/// [`Position::to_u64`](punctual_queue_log::position::Position::to_u64), messages go by their numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// All records before this place are contained; later ones may be.
    pub(crate) position: u64,
    /// When it was made: nanoseconds since the Unix epoch.
    pub(crate) written_ns: i64,
    pub(crate) next: u64,
    pub(crate) announced_end: u64,
    #[serde(default)]
    pub(crate) waiting_since_ns: i64,
    /// When the last message was published: nanoseconds since the Unix epoch.
    pub(crate) last_published_ns: i64,
    pub(crate) paused: bool,
    #[serde(default)]
    pub(crate) held: bool,
    #[serde(default)]
    pub(crate) settings: TopicSettings,
    pub(crate) next_channel: u32,
    pub(crate) waypoints: Vec<WaypointCheckpoint>,
    pub(crate) segments: Vec<(u32, Contents)>,
    /// What is known to be unreadable: segment, from, to.
    pub(crate) damage: Vec<(u32, u32, u32)>,
    pub(crate) channels: Vec<ChannelCheckpoint>,
}

/// What became of a checkpoint and its copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointHealth {
    /// It can be read.
    Sound,
    /// There is none; the whole log is read.
    Missing,
    /// One of the two cannot be read; the other serves.
    OneDamaged,
    /// It cannot be read; the whole log is read instead.
    Damaged,
}

impl CheckpointHealth {
    /// Whether either cannot be read.
    #[must_use]
    pub fn is_damaged(self) -> bool {
        matches!(self, Self::OneDamaged | Self::Damaged)
    }
}

/// What was found in the directory of a topic.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The newer of the two, if there are two.
    pub(crate) checkpoint: Option<Checkpoint>,
    /// The place of the older.
    pub(crate) oldest: Option<Position>,
    /// Whether one alone is left.
    pub(crate) is_alone: bool,
}

/// One of the files.
struct Stored {
    path: PathBuf,
    exists: bool,
    checkpoint: Option<Checkpoint>,
}

/// One message's number, place, and time of publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WaypointCheckpoint(u64, u64, i64);

/// One channel's part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChannelCheckpoint {
    pub(crate) channel: ChannelNumber,
    pub(crate) name: ChannelName,
    pub(crate) paused: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dead_letters: Option<DeadLetters>,
    pub(crate) floor: u64,
    /// Finished messages above the floor: first, and one after the last.
    pub(crate) finished: Vec<(u64, u64)>,
    pub(crate) attempts: Vec<(u64, u16)>,
    /// Messages that consumers put off, and for how many milliseconds more.
    pub(crate) put_off: Vec<(u64, u64)>,
}

impl From<(Sequence, Waypoint)> for WaypointCheckpoint {
    fn from((sequence, waypoint): (Sequence, Waypoint)) -> Self {
        Self(sequence.0, waypoint.position.to_u64(), waypoint.published_ns)
    }
}

impl From<WaypointCheckpoint> for (Sequence, Waypoint) {
    fn from(WaypointCheckpoint(sequence, position, published_ns): WaypointCheckpoint) -> Self {
        (Sequence(sequence), Waypoint { position: Position::from_u64(position), published_ns })
    }
}

impl Checkpoint {
    /// Makes it true of a segment whose records move: of places in it, its start alone is one.
    pub(crate) fn collapse(&mut self, segment: SegmentId) {
        let mut waypoints: Waypoints = self.waypoints.iter().copied().map(Into::into).collect();
        waypoints.collapse(segment);
        self.waypoints = waypoints.iter().map(WaypointCheckpoint::from).collect();
        if Position::from_u64(self.position).segment == segment {
            self.position = Position { segment, offset: 0 }.to_u64();
        }
    }

    /// Makes it true of a log that ends at `end`, where that is before its place: the rest of the log is gone, and what
    /// comes now takes its places. Says whether it was.
    pub(crate) fn cut_to(&mut self, end: Position) -> bool {
        let is_behind = Position::from_u64(self.position) > end;
        self.position = self.position.min(end.to_u64());
        // These may be ahead of the place: what was written and not yet synced when it was stored may be gone too.
        self.waypoints.retain(|WaypointCheckpoint(_, position, _)| *position < end.to_u64());
        self.segments.retain(|(segment, _)| *segment <= end.segment.0);
        self.damage.retain(|(segment, ..)| *segment <= end.segment.0);
        is_behind
    }

    /// Replaces the checkpoint of the topic in `dir` and then its copy, durably. When that fails, or a crash comes in
    /// between, one is newer than the other, and nothing of the log that the older needs may go.
    pub(crate) fn store(&self, disk: &dyn Disk, dir: &Path) -> Result<(), TopicError> {
        let json = serde_json::to_vec(self).expect("names and numbers always have a JSON form");
        let mut content = format!("{:08x}\n", crc32fast::hash(&json)).into_bytes();
        content.extend(json);
        FILE_NAMES.iter().try_for_each(|name| {
            replace_file(disk, &dir.join(name), &content).map_err(TopicError::io("write the checkpoint of"))
        })
    }

    /// The checkpoint of the topic in `dir`, or its copy where that cannot be read.
    pub(crate) fn load(disk: &dyn Disk, dir: &Path) -> Result<Loaded, TopicError> {
        let stored = Self::read(disk, dir)?;
        let is_damaged = stored.iter().any(Stored::is_damaged);
        let mut sound: Vec<_> = stored.into_iter().filter_map(|stored| stored.checkpoint).collect();
        match (is_damaged, sound.len()) {
            (true, 0) => {
                tracing::error!(topic.dir = %dir.display(), "the checkpoint is damaged; the whole log is read instead");
            }
            (true, _) => {
                tracing::warn!(topic.dir = %dir.display(), "one of the two checkpoints is damaged; the other serves");
            }
            (false, _) => {}
        }
        let oldest = sound.iter().map(|checkpoint| Position::from_u64(checkpoint.position)).min();
        let is_alone = sound.len() == 1;
        Ok(Loaded { checkpoint: (!sound.is_empty()).then(|| sound.swap_remove(0)), oldest, is_alone })
    }

    /// Whether the topic in `dir` has a checkpoint, and a good one.
    pub(crate) fn health(disk: &dyn Disk, dir: &Path) -> Result<CheckpointHealth, TopicError> {
        let stored = Self::read(disk, dir)?;
        let is_sound = stored.iter().any(|stored| stored.checkpoint.is_some());
        Ok(match (is_sound, stored.iter().any(Stored::is_damaged)) {
            (true, false) => CheckpointHealth::Sound,
            (true, true) => CheckpointHealth::OneDamaged,
            (false, true) => CheckpointHealth::Damaged,
            (false, false) => CheckpointHealth::Missing,
        })
    }

    /// Moves what is damaged out of the way, and puts what is sound in its place. Returns where it was and where it is.
    pub(crate) fn repair(disk: &dyn Disk, dir: &Path) -> Result<Vec<(PathBuf, PathBuf)>, TopicError> {
        let mut moved = Vec::new();
        let stored = Self::read(disk, dir)?;
        for Stored { path, .. } in stored.iter().filter(|stored| stored.is_damaged()) {
            let aside = set_aside(disk, path).map_err(TopicError::io("set aside the checkpoint of"))?;
            moved.push((path.clone(), aside));
        }
        disk.sync_dir(dir).map_err(TopicError::io("sync the directory of"))?;
        if let Some(sound) = stored.iter().find_map(|stored| stored.checkpoint.as_ref()) {
            sound.store(disk, dir)?;
        }
        Ok(moved)
    }

    fn read(disk: &dyn Disk, dir: &Path) -> Result<Vec<Stored>, TopicError> {
        let read = |name: &&str| {
            let path = dir.join(name);
            let content = read_file(disk, &path).map_err(TopicError::io("read the checkpoint of"))?;
            let checkpoint = content.as_ref().and_then(|content| Self::decode(content));
            Ok(Stored { path, exists: content.is_some(), checkpoint })
        };
        FILE_NAMES.iter().map(read).collect()
    }

    /// The segment is no longer damaged.
    pub(crate) fn forget_damage(&mut self, segment: SegmentId) {
        self.damage.retain(|(damaged, ..)| *damaged != segment.0);
    }

    fn decode(content: &[u8]) -> Option<Self> {
        let (checksum, json) = content.split_at_checked(9)?;
        let checksum = u32::from_str_radix(std::str::from_utf8(&checksum[..8]).ok()?, 16).ok()?;
        (checksum == crc32fast::hash(json)).then(|| serde_json::from_slice(json).ok())?
    }
}

impl Stored {
    fn is_damaged(&self) -> bool {
        self.exists && self.checkpoint.is_none()
    }
}

#[cfg(test)]
mod tests {
    use punctual_queue_log::disk::RealDisk;

    use super::*;

    fn load(dir: &Path) -> (Option<u64>, bool) {
        let loaded = Checkpoint::load(&RealDisk, dir).unwrap();
        (loaded.checkpoint.map(|checkpoint| checkpoint.next), loaded.is_alone)
    }

    fn health(dir: &Path) -> CheckpointHealth {
        Checkpoint::health(&RealDisk, dir).unwrap()
    }

    #[test]
    fn of_a_damaged_checkpoint_there_is_a_copy_and_without_that_there_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        assert_eq!((load(dir), health(dir)), ((None, false), CheckpointHealth::Missing));
        Checkpoint { next: 42, ..Checkpoint::default() }.store(&RealDisk, dir).unwrap();
        assert_eq!((load(dir), health(dir)), ((Some(42), false), CheckpointHealth::Sound));

        let [first, copy] = FILE_NAMES.map(|name| dir.join(name));
        let content = std::fs::read(&first).unwrap();
        let flipped: Vec<_> = content.iter().map(|byte| if *byte == b'4' { b'5' } else { *byte }).collect();
        for damaged in [b"", &content[..5], &content[..9], &content[..content.len() - 1], &flipped] {
            std::fs::write(&first, damaged).unwrap();
            std::fs::write(&copy, &content).unwrap();
            assert_eq!((load(dir), health(dir)), ((Some(42), true), CheckpointHealth::OneDamaged));
            std::fs::write(&copy, damaged).unwrap();
            assert_eq!((load(dir), health(dir)), ((None, false), CheckpointHealth::Damaged));
        }
        std::fs::remove_file(&first).unwrap();
        std::fs::write(&copy, &content).unwrap();
        assert_eq!((load(dir), health(dir)), ((Some(42), true), CheckpointHealth::Sound));
    }

    #[test]
    fn every_repair_keeps_what_it_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let [first, copy] = FILE_NAMES.map(|name| dir.join(name));
        Checkpoint { next: 42, ..Checkpoint::default() }.store(&RealDisk, dir).unwrap();
        let mut kept = Vec::new();
        for (damaged, path) in [("one", &first), ("two", &first), ("three", &copy)] {
            std::fs::write(path, damaged).unwrap();
            kept.extend(Checkpoint::repair(&RealDisk, dir).unwrap());
            assert_eq!((load(dir), health(dir)), ((Some(42), false), CheckpointHealth::Sound));
        }
        let kept: Vec<_> = kept.iter().map(|(_, aside)| std::fs::read_to_string(aside).unwrap()).collect();
        assert_eq!(kept, ["one", "two", "three"]);
    }

    #[test]
    fn nothing_goes_that_the_older_of_two_checkpoints_needs() {
        let dir = tempfile::tempdir().unwrap();
        let at = |offset| Position { segment: SegmentId(3), offset };
        Checkpoint { position: at(7).to_u64(), ..Checkpoint::default() }
            .store(&RealDisk, dir.path())
            .unwrap();
        let old = std::fs::read(dir.path().join(FILE_NAMES[1])).unwrap();
        Checkpoint { position: at(9).to_u64(), ..Checkpoint::default() }
            .store(&RealDisk, dir.path())
            .unwrap();
        std::fs::write(dir.path().join(FILE_NAMES[1]), old).unwrap(); // a crash came before the copy
        let loaded = Checkpoint::load(&RealDisk, dir.path()).unwrap();
        assert_eq!((loaded.checkpoint.unwrap().position, loaded.oldest), (at(9).to_u64(), Some(at(7))));
    }
}
