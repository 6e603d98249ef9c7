//! A topic's state as of a place in its log, so that recovery reads only what follows.

use std::path::Path;

use punctual_queue_log::disk::{Disk, read_file, replace_file};
use punctual_queue_wire::name::ChannelName;
use serde::{Deserialize, Serialize};

use super::record::ChannelNumber;
use crate::error::TopicError;

const FILE_NAME: &str = "checkpoint";

/// Everything about a topic but its messages. Places are packed as in
/// [`Position::to_u64`](punctual_queue_log::position::Position::to_u64), messages go by their numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// All records before this place are contained; later ones may be.
    pub(crate) position: u64,
    /// When it was made: nanoseconds since the Unix epoch.
    #[serde(default)]
    pub(crate) written_ns: i64,
    pub(crate) next: u64,
    pub(crate) announced_end: u64,
    pub(crate) paused: bool,
    pub(crate) next_channel: u32,
    pub(crate) waypoints: Vec<(u64, u64)>,
    pub(crate) channels: Vec<ChannelCheckpoint>,
}

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
    #[serde(default)]
    pub(crate) put_off: Vec<(u64, u64)>,
}

impl Checkpoint {
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
