//! A topic's state as of a place in its log, so that recovery reads only what follows.

use std::path::{Path, PathBuf};

use punctual_queue_log::disk::{Disk, read_file, replace_file};
use punctual_queue_log::position::{Position, SegmentId};
use punctual_queue_wire::name::ChannelName;
use serde::{Deserialize, Serialize};

use super::record::ChannelNumber;
use super::segments::Contents;
use super::waypoints::{Waypoint, Waypoints};
use crate::error::TopicError;
use crate::message::Sequence;

const FILE_NAME: &str = "checkpoint";

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
    /// When the last message was published: nanoseconds since the Unix epoch.
    pub(crate) last_published_ns: i64,
    pub(crate) paused: bool,
    pub(crate) next_channel: u32,
    pub(crate) waypoints: Vec<WaypointCheckpoint>,
    pub(crate) segments: Vec<(u32, Contents)>,
    /// What is known to be unreadable: segment, from, to.
    pub(crate) damage: Vec<(u32, u32, u32)>,
    pub(crate) channels: Vec<ChannelCheckpoint>,
}

/// What became of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointHealth {
    /// It can be read.
    Sound,
    /// There is none; the whole log is read.
    Missing,
    /// It cannot be read; the whole log is read instead.
    Damaged,
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

    /// Replaces the checkpoint of the topic in `dir`, durably.
    pub(crate) fn store(&self, disk: &dyn Disk, dir: &Path) -> Result<(), TopicError> {
        let json = serde_json::to_vec(self).expect("names and numbers always have a JSON form");
        let mut content = format!("{:08x}\n", crc32fast::hash(&json)).into_bytes();
        content.extend(json);
        replace_file(disk, &dir.join(FILE_NAME), &content).map_err(TopicError::io("write the checkpoint of"))
    }

    /// The checkpoint of the topic in `dir`; `None` when there is none, or it is damaged.
    pub(crate) fn load(disk: &dyn Disk, dir: &Path) -> Result<Option<Self>, TopicError> {
        let content =
            read_file(disk, &dir.join(FILE_NAME)).map_err(TopicError::io("read the checkpoint of"))?;
        let Some(content) = content else { return Ok(None) };
        let checkpoint = Self::decode(&content);
        if checkpoint.is_none() {
            tracing::error!(topic.dir = %dir.display(), "the checkpoint is damaged; the whole log is read instead");
        }
        Ok(checkpoint)
    }

    /// Whether the topic in `dir` has a checkpoint, and a good one.
    pub(crate) fn health(disk: &dyn Disk, dir: &Path) -> Result<CheckpointHealth, TopicError> {
        let content =
            read_file(disk, &dir.join(FILE_NAME)).map_err(TopicError::io("read the checkpoint of"))?;
        Ok(match content.map(|content| Self::decode(&content)) {
            None => CheckpointHealth::Missing,
            Some(None) => CheckpointHealth::Damaged,
            Some(Some(_)) => CheckpointHealth::Sound,
        })
    }

    /// Moves the checkpoint out of the way, so that the whole log is read; returns where it was and where it is.
    pub(crate) fn set_aside(disk: &dyn Disk, dir: &Path) -> Result<(PathBuf, PathBuf), TopicError> {
        let (file, aside) = (dir.join(FILE_NAME), dir.join(FILE_NAME).with_extension("damaged"));
        disk.rename(&file, &aside).map_err(TopicError::io("set aside the checkpoint of"))?;
        disk.sync_dir(dir).map_err(TopicError::io("sync the directory of"))?;
        Ok((file, aside))
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

#[cfg(test)]
mod tests {
    use punctual_queue_log::disk::RealDisk;

    use super::*;

    #[test]
    fn a_damaged_checkpoint_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let load = || Checkpoint::load(&RealDisk, dir.path()).unwrap();
        assert_eq!(load(), None);
        let checkpoint = Checkpoint { next: 42, ..Checkpoint::default() };
        checkpoint.store(&RealDisk, dir.path()).unwrap();
        assert_eq!(load(), Some(checkpoint));

        let path = dir.path().join(FILE_NAME);
        let content = std::fs::read(&path).unwrap();
        for cut in [0, 5, 9, content.len() - 1] {
            std::fs::write(&path, &content[..cut]).unwrap();
            assert_eq!(load(), None, "cut at {cut}");
        }
        let flipped: Vec<_> = content.iter().map(|byte| if *byte == b'4' { b'5' } else { *byte }).collect();
        std::fs::write(&path, flipped).unwrap();
        assert_eq!(load(), None);
    }
}
