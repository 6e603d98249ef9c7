//! The task that keeps a topic going: hands new messages to the channels, reads old ones for them, minds their
//! time-outs, and writes down how far they are.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use punctual_queue_log::error::LogError;
use punctual_queue_log::log::{Damage, Durability};
use punctual_queue_log::position::Position;
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::burial::Burials;
use super::load::Again;
use super::peek::Peek;
use super::record::Change;
use super::upkeep::Upkeep;
use super::{ChannelHandle, Core, Topic, load, record, retention};
use crate::channel::{Load, Loaded};
use crate::message::Sequence;
use crate::topics::Topics;

/// How long to wait for anything when nothing is due.
const IDLE: Duration = Duration::from_secs(3600);

/// What was read on a thread that may block, and what could not be.
enum Done {
    Next(Arc<ChannelHandle>, Result<(Loaded, Damage), LogError>),
    Again(Arc<ChannelHandle>, Result<(Again, Damage), LogError>),
    Age(Arc<ChannelHandle>, Sequence, Result<(Option<i64>, Damage), LogError>),
    Peeked(Damage),
    Panicked(Arc<ChannelHandle>),
}

struct Keeper {
    topic: Arc<Topic>,
    loads: JoinSet<Done>,
    upkeep: Upkeep,
    burials: Burials,
    /// While the node drains: nothing is left of this topic.
    drained: bool,
    expire_at: Option<Instant>,
}

impl Topic {
    /// Keeps the topic going until `stop`, or until it is retired. Stopped, it leaves a checkpoint of everything. Dead
    /// letters go to others of `topics`.
    pub(crate) async fn keep(self: Arc<Self>, topics: Weak<Topics>, stop: CancellationToken) {
        let mut keeper = Keeper {
            topic: Arc::clone(&self),
            loads: JoinSet::new(),
            upkeep: Upkeep::new(Arc::clone(&self)),
            burials: Burials::new(topics, self.name.clone()),
            drained: false,
            expire_at: None,
        };
        while !self.is_retired() {
            let wake_at = keeper.tend();
            tokio::select! {
                () = self.keeper.notified() => {}
                () = sleep_until(wake_at.into()) => {}
                Some(done) = keeper.loads.join_next() => {
                    if let Ok(done) = done {
                        keeper.on_done(done);
                    }
                }
                Some(buried) = keeper.burials.next() => buried.into_iter().for_each(|one| one.tell(&self.name)),
                Some(done) = keeper.upkeep.next() => keeper.upkeep.on_done(done),
                () = stop.cancelled() => break,
            }
        }
        keeper.finish().await;
    }
}

impl Keeper {
    /// Does all that is to be done now; says when to come back.
    fn tend(&mut self) -> Instant {
        let topic = Arc::clone(&self.topic);
        topic.distribute();
        let now = Instant::now();
        let mut wake_at = self.expire(now).unwrap_or(now + IDLE);
        let may_load = !self.upkeep.holds_up_loads();
        let mut unwritten = Vec::new();
        for handle in topic.channels() {
            let load = handle.with_for_keeper(|channel, now| {
                channel.handle_timeout(now);
                if let Some(news) = channel.take_unwritten(now).filter(|_| !handle.name.is_ephemeral()) {
                    unwritten.push((handle.number, news));
                }
                if may_load { channel.take_load(now) } else { None }
            });
            self.burials.begin(&handle, handle.take_dead());
            wake_at = wake_at.min(handle.plan().unwrap_or(wake_at));
            if let Some(load) = load {
                self.start(handle, load);
            }
        }
        if !unwritten.is_empty() {
            topic.write_progress(&unwritten);
        }
        if may_load {
            topic.take_peeks().into_iter().for_each(|peek| self.start_peek(peek));
        }
        self.note_drained();
        let upkeep_at = self.upkeep.tend(now, !self.loads.is_empty());
        wake_at.min(upkeep_at.unwrap_or(wake_at))
    }

    /// While the node drains, lookups are to hear when a topic is empty.
    fn note_drained(&mut self) {
        let drained = self.topic.is_drained();
        if drained && !self.drained {
            self.topic.context.topology_changed();
        }
        self.drained = drained;
    }

    /// Drops what is too old, if it is time to look; says when it is next.
    fn expire(&mut self, now: Instant) -> Option<Instant> {
        let retain = self.topic.retain()?;
        let look_at = now + retention::look_every(retain);
        if self.expire_at.is_none_or(|at| at <= now || at > look_at) {
            self.topic.expire(retain);
            self.expire_at = Some(look_at);
        }
        self.expire_at
    }

    fn start(&mut self, handle: Arc<ChannelHandle>, load: Load) {
        let log = self.topic.log.clone();
        let now = load::Now::of(&self.topic.context);
        self.loads.spawn_blocking(move || {
            let waiting = Arc::clone(&handle);
            // It reads and hands over; what it has made when it panics is seen by nobody.
            let read = AssertUnwindSafe(|| match load {
                Load::Next { from, end } => Done::Next(handle, load::next(&log, from, end, now)),
                Load::Again(wanted) => Done::Again(handle, load::again(&log, &wanted)),
                Load::Age { from, of } => Done::Age(handle, of, load::age(&log, from, of)),
            });
            catch_unwind(read).unwrap_or(Done::Panicked(waiting))
        });
    }

    fn start_peek(&mut self, peek: Peek) {
        let log = self.topic.log.clone();
        let now = load::Now::of(&self.topic.context);
        self.loads.spawn_blocking(move || Done::Peeked(peek.answer(&log, now)));
    }

    fn on_done(&mut self, done: Done) {
        match done {
            Done::Next(handle, Ok((loaded, damage))) => {
                damage.into_iter().for_each(|range| self.topic.report_damage(range));
                handle.with(|channel, now| channel.loaded(loaded, now));
            }
            Done::Again(handle, Ok((Again { asked, messages }, damage))) => {
                damage.into_iter().for_each(|range| self.topic.report_damage(range));
                handle.with(|channel, _| channel.reloaded(&asked, messages));
            }
            Done::Age(handle, of, Ok((published_ns, damage))) => {
                damage.into_iter().for_each(|range| self.topic.report_damage(range));
                handle.with(|channel, _| channel.age_loaded(of, published_ns));
            }
            Done::Peeked(damage) => damage.into_iter().for_each(|range| self.topic.report_damage(range)),
            Done::Next(handle, Err(e)) | Done::Again(handle, Err(e)) | Done::Age(handle, _, Err(e)) => {
                let (topic, channel) = (&self.topic.name, &handle.name);
                tracing::error!(%topic, %channel, error = %e, "could not read messages; trying again");
                handle.with(|channel, now| channel.load_failed(now));
            }
            Done::Panicked(handle) => {
                let (topic, channel) = (&self.topic.name, &handle.name);
                tracing::error!(%topic, %channel, "the reading of messages panicked; trying again");
                handle.with(|channel, now| channel.load_failed(now));
            }
        }
    }

    /// The last words before the process ends.
    async fn finish(mut self) {
        drop(self.topic.take_peeks()); // nobody is there to see anything
        while self.loads.join_next().await.is_some() {}
        while let Some(buried) = self.burials.next().await {
            buried.into_iter().for_each(|one| one.tell(&self.topic.name));
        }
        if !self.topic.is_retired() {
            self.topic.distribute();
        }
        self.upkeep.finish().await;
    }
}

impl Topic {
    /// Hands what has reached the disk to the channels. Besides the keeper, who must come after it, whatever is to be true
    /// of all that was acknowledged calls it first.
    pub(super) fn distribute(&self) {
        let mut core = self.core.lock();
        let noted_every = core.settings.retain(self.context.options.retain).map(retention::noted_every);
        let batches = std::mem::take(&mut *self.committed.lock()); // in their order, for the core is locked
        let before = core.committed_end;
        if let Some(first) = batches.first().filter(|_| core.announced_end == before) {
            core.waiting_since_ns = first.timestamp_ns;
        }
        for batch in &batches {
            core.waypoints.note(batch, noted_every);
            core.segments.note(batch);
            core.last_published_ns = core.last_published_ns.max(batch.timestamp_ns);
            core.committed_end = core.committed_end.max(batch.end());
            core.message_count += batch.bodies.len() as u64;
            core.message_bytes += batch.bodies.body_bytes() as u64;
        }
        if core.keeps_back() || core.channels.is_empty() {
            return self.drop_waiting(&mut core);
        }
        let waited = core.announced_end < before;
        core.announced_end = core.committed_end;
        let end = core.committed_end;
        // The core stays locked: a pause or a delete must not come between the decision and the channels.
        for handle in core.channels.values() {
            handle.with_for_keeper(|channel, now| {
                if waited {
                    channel.released(end); // the topic was paused; they are read from the log
                }
                let mut previous_end = before;
                for batch in &batches {
                    channel.published(batch, previous_end, now);
                    previous_end = batch.end();
                }
            });
        }
        // After consumers have had what they want.
        if core.drop_oldest() {
            self.keeper.notify_one();
        }
    }

    /// Of what waits in the topic itself, the oldest go that are too many.
    fn drop_waiting(&self, core: &mut Core) {
        let excess = core.excess();
        if excess > 0 {
            let (start, end) = (core.announced_end, core.announced_end.plus(excess));
            core.overflowed += excess;
            self.skip(core, end);
            drop(self.record(&Change::TopicEmptied { start: start.0, end: end.0 }));
        }
    }

    /// Writes down what channels finished and delivered, without waiting for the disk.
    fn write_progress(self: &Arc<Self>, unwritten: &[(record::ChannelNumber, crate::channel::Unwritten)]) {
        let topic = Arc::clone(self);
        let complete = move |result: Result<Position, _>| {
            if result.is_err() {
                topic.want_checkpoint(); // no room in the log: the checkpoint will say it
            }
        };
        self.log.append(
            record::progress(unwritten, self.context.unix_ns()),
            Durability::Written,
            Box::new(complete),
        );
    }

    /// From where on the log holds messages that are wanted.
    pub(super) fn needed(&self) -> Position {
        let core = self.core.lock();
        core.waypoints.before(core.floor())
    }
}
