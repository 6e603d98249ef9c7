//! Writing a topic's checkpoint, and removing the segments nobody needs.

use std::time::{Duration, Instant};

use punctual_queue_log::position::Position;
use punctual_queue_wire::name::ChannelName;

use super::checkpoint::{ChannelCheckpoint, Checkpoint, WaypointCheckpoint};
use super::compaction::Survey;
use super::record::{ChannelNumber, whole_ms};
use super::upkeep::Checkpointed;
use super::{ChannelHandle, Topic};
use crate::channel::{DeadLetters, Progress};
use crate::error::TopicError;
use crate::message::Sequence;

impl Topic {
    /// Writes a checkpoint and removes the segments that neither a channel nor recovery needs. Blocks on the disk.
    pub(super) fn checkpoint(&self) -> Result<Checkpointed, TopicError> {
        let mut files = self.files.lock();
        if self.is_retired() {
            return Err(TopicError::Deleted);
        }
        // The place is taken first: what is recorded while the state is copied is then read again, which is harmless.
        // What a power cut would take must not lie before it.
        let position = self.log.synced_end();
        let Snapshot { mut checkpoint, channels, floor, survey } = self.snapshot(position);
        checkpoint.channels = channels.into_iter().map(ChannelState::into_checkpoint).collect();
        let plan = survey.plan();
        for rewrite in &plan {
            // The checkpoint must be true of the segment before and after.
            self.core.lock().waypoints.collapse(rewrite.segment);
            checkpoint.collapse(rewrite.segment);
        }
        let store = || checkpoint.store(self.context.committer.disk().as_ref(), &self.dir);
        if let Err(error) = store() {
            // On a full disk, what neither anybody nor the old checkpoint needs makes room for the new one.
            let unneeded = files.checkpointed.filter(|_| error.is_full()).map(|old| floor.min(old));
            match unneeded.map(|place| self.log.remove_segments_before(place)).transpose()? {
                None | Some(0) => return Err(error),
                Some(_) => store()?,
            }
        }
        files.checkpointed = Some(position);
        let needed = floor.min(position);
        if self.log.remove_segments_before(needed)? > 0 {
            let mut core = self.core.lock();
            core.waypoints.forget_before(needed);
            core.segments.forget_before(needed);
        }
        Ok(Checkpointed { position, plan })
    }

    /// The state, and from where on the log holds messages that are wanted.
    fn snapshot(&self, position: Position) -> Snapshot {
        let damage = self.log.damage();
        let core = self.core.lock();
        let lasting = core.channels.values().filter(|channel| !channel.name.is_ephemeral());
        let checkpoint = Checkpoint {
            position: position.to_u64(),
            written_ns: self.context.unix_ns(),
            next: core.next.0,
            announced_end: core.announced_end.0,
            waiting_since_ns: if core.waits() > 0 { core.waiting_since_ns } else { 0 },
            last_published_ns: core.last_published_ns,
            paused: core.paused,
            held: core.held,
            settings: core.settings,
            next_channel: core.next_channel.0,
            waypoints: core.waypoints.iter().map(WaypointCheckpoint::from).collect(),
            segments: core.segments.iter().map(|(segment, contents)| (segment.0, contents)).collect(),
            damage: damage.iter().map(|range| (range.segment.0, range.from, range.to)).collect(),
            channels: Vec::new(),
        };
        Snapshot {
            checkpoint,
            channels: lasting.map(|channel| channel.state()).collect(),
            floor: core.waypoints.before(core.floor()),
            survey: Survey::new(&self.log, &core, position),
        }
    }
}

/// What is copied while the topic is locked.
struct Snapshot {
    /// Without its channels.
    checkpoint: Checkpoint,
    channels: Vec<ChannelState>,
    floor: Position,
    survey: Survey,
}

/// The same of one channel.
struct ChannelState {
    number: ChannelNumber,
    name: ChannelName,
    paused: bool,
    dead_letters: Option<DeadLetters>,
    progress: Progress,
    attempts: Vec<(Sequence, u16)>,
    put_off: Vec<(Sequence, Duration)>,
}

impl ChannelHandle {
    fn state(&self) -> ChannelState {
        self.look(|channel| ChannelState {
            number: self.number,
            name: self.name.clone(),
            paused: channel.is_paused(),
            dead_letters: channel.dead_letters().cloned(),
            progress: channel.progress().clone(),
            attempts: channel.all_attempts(),
            put_off: channel.all_put_off(Instant::now()),
        })
    }
}

impl ChannelState {
    fn into_checkpoint(self) -> ChannelCheckpoint {
        let finished = self.progress.ranges().into_iter().map(|range| (range.start.0, range.end.0));
        let put_off = self.put_off.into_iter().map(|(sequence, left)| (sequence.0, whole_ms(left)));
        ChannelCheckpoint {
            channel: self.number,
            name: self.name,
            paused: self.paused,
            dead_letters: self.dead_letters,
            floor: self.progress.floor().0,
            finished: finished.collect(),
            attempts: self.attempts.into_iter().map(|(sequence, attempts)| (sequence.0, attempts)).collect(),
            put_off: put_off.collect(),
        }
    }
}
