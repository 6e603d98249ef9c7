//! Writing a topic's checkpoint, and removing the segments nobody needs.

use std::time::Instant;

use punctual_queue_log::position::Position;

use super::checkpoint::{ChannelCheckpoint, Checkpoint};
use super::record::whole_ms;
use super::{ChannelHandle, Topic};
use crate::error::TopicError;

/// What a checkpoint left behind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checkpointed {
    /// The log before this place is contained in it.
    pub(super) position: Position,
}

impl Topic {
    /// Writes a checkpoint and removes the segments that neither a channel nor recovery needs. Blocks on the disk.
    pub(super) fn checkpoint(&self) -> Result<Checkpointed, TopicError> {
        // The place is taken first: what is recorded while the state is copied is then read again, which is harmless.
        let position = self.log.end();
        let (checkpoint, floor) = self.snapshot(position);
        checkpoint.store(self.context.committer.disk().as_ref(), &self.dir)?;
        let needed = floor.min(position);
        if self.log.remove_segments_before(needed)? > 0 {
            self.core.lock().waypoints.forget_before(needed);
        }
        Ok(Checkpointed { position })
    }

    /// The state, and from where on the log holds messages that are wanted.
    fn snapshot(&self, position: Position) -> (Checkpoint, Position) {
        let core = self.core.lock();
        let waypoints = core.waypoints.iter().map(|(sequence, place)| (sequence.0, place.to_u64()));
        let lasting = core.channels.values().filter(|channel| !channel.name.is_ephemeral());
        let checkpoint = Checkpoint {
            position: position.to_u64(),
            written_ns: self.context.unix_ns(),
            next: core.next.0,
            announced_end: core.announced_end.0,
            paused: core.paused,
            next_channel: core.next_channel.0,
            waypoints: waypoints.collect(),
            channels: lasting.map(|channel| channel.snapshot()).collect(),
        };
        let floor = core.waypoints.before(core.floor());
        (checkpoint, floor)
    }
}

impl ChannelHandle {
    fn snapshot(&self) -> ChannelCheckpoint {
        self.look(|channel| {
            let progress = channel.progress();
            let finished = progress.ranges().into_iter().map(|range| (range.start.0, range.end.0));
            let attempts = channel.all_attempts().into_iter().map(|(s, attempts)| (s.0, attempts));
            let put_off = channel.all_put_off(Instant::now()).into_iter();
            let put_off = put_off.map(|(sequence, left)| (sequence.0, whole_ms(left)));
            ChannelCheckpoint {
                channel: self.number,
                name: self.name.clone(),
                paused: channel.is_paused(),
                floor: progress.floor().0,
                finished: finished.collect(),
                attempts: attempts.collect(),
                put_off: put_off.collect(),
            }
        })
    }
}
