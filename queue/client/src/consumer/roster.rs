//! The connections that deliver, what is in hand of each, and the ready counts they are given.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    command_queue::CommandQueue,
    pace::{BackoffOptions, Pace},
    ready::{Demand, ReadyCounts},
};

mod place;

pub(super) use place::{Hold, Place};

use place::Member;

/// Every connection that is subscribed and not closing.
#[derive(Debug)]
pub(super) struct Roster {
    current: Mutex<Current>,
    connections: watch::Sender<usize>,
    /// Whether ready counts depend on what becomes of each message. While they do not, messages cost no lock.
    attentive: AtomicBool,
    /// The next time-out may have changed.
    changed: Notify,
    in_hand: AtomicUsize,
    /// Nothing is in hand any more.
    emptied: Notify,
    started: Instant,
}

#[derive(Debug)]
struct Current {
    counts: ReadyCounts,
    members: Vec<Arc<Member>>,
}

impl Roster {
    pub(super) fn new(backoff: Option<BackoffOptions>, idle: Duration) -> Self {
        Self {
            current: Mutex::new(Current { counts: ReadyCounts::new(backoff, idle), members: Vec::new() }),
            connections: watch::Sender::new(0),
            attentive: AtomicBool::new(false),
            changed: Notify::new(),
            in_hand: AtomicUsize::new(0),
            emptied: Notify::new(),
            started: Instant::now(),
        }
    }

    /// Adds a connection, which is given a ready count at once. It is struck off when the place is dropped.
    pub(super) fn join(self: &Arc<Self>, queue: Arc<CommandQueue>) -> Place {
        let member = self.change(|current, now| {
            let id = current.counts.join(now);
            let ready = current.counts.of(id);
            // Under the same lock as a change of the counts, so that the connection cannot miss one.
            queue.set_ready(ready);
            let member = Arc::new(Member::new(id, queue, ready));
            current.members.push(member.clone());
            self.connections.send_replace(current.members.len());
            member
        });
        Place::new(self.clone(), member)
    }

    pub(super) fn demand(&self, demand: Demand) {
        self.change(|current, now| current.counts.demand(demand, now));
    }

    pub(super) fn connections(&self) -> watch::Receiver<usize> {
        self.connections.subscribe()
    }

    /// How many steps lead back from backing off; 0 when not.
    pub(super) fn backoff_level(&self) -> u32 {
        self.lock().counts.pace().level()
    }

    /// Whether a connection has in hand most of what it may.
    pub(super) fn is_starved(&self) -> bool {
        self.lock().members.iter().any(|member| member.is_starved())
    }

    /// A message was finished.
    fn succeeded(&self) {
        if self.attentive.load(Ordering::Relaxed) {
            self.pace(|counts, now| counts.succeeded(now));
        }
    }

    /// A message failed.
    fn failed(&self) {
        self.pace(|counts, now| counts.failed(now));
    }

    fn pace(&self, change: impl FnOnce(&mut ReadyCounts, Instant)) {
        self.change(|Current { counts, .. }, now| {
            let before = counts.pace();
            change(counts, now);
            match (before, counts.pace()) {
                (before, after) if before == after => {}
                (_, Pace::Resting { level, until }) => {
                    let rest_ms = until.saturating_duration_since(now).as_millis();
                    warn!(level, rest_ms, "messages fail: backing off");
                }
                (_, Pace::Full) => info!("messages succeed again: no longer backing off"),
                (_, Pace::Probing { .. }) => {}
            }
        });
    }

    /// Waits until no delivery is in anybody's hands.
    pub(super) async fn emptied(&self) {
        loop {
            let mut emptied = std::pin::pin!(self.emptied.notified());
            // From here on nothing is missed, so that looking once is enough.
            emptied.as_mut().enable();
            if self.in_hand.load(Ordering::Acquire) == 0 {
                return;
            }
            emptied.await;
        }
    }

    /// Ends rests and turns when their time has come, until `stopping`.
    pub(super) async fn keep_time(self: Arc<Self>, stopping: CancellationToken) {
        loop {
            let next = self.lock().counts.next_timeout();
            let due = async {
                match next {
                    Some(next) => sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stopping.cancelled() => return,
                () = self.changed.notified() => {}
                () = due => self.change(|current, now| current.counts.handle_timeout(now)),
            }
        }
    }

    /// Changes something, and gives every connection the ready count that follows from it.
    fn change<R>(&self, change: impl FnOnce(&mut Current, Instant) -> R) -> R {
        let mut current = self.lock();
        let now = Instant::now();
        self.observe(&mut current);
        let result = change(&mut current, now);
        let attentive = current.counts.is_attentive();
        if !self.attentive.swap(attentive, Ordering::SeqCst) && attentive {
            // What was answered until now did not say so: look again.
            self.observe(&mut current);
            current.counts.answered(now);
        }
        self.apply(&current);
        drop(current);
        self.changed.notify_one();
        result
    }

    fn observe(&self, Current { counts, members }: &mut Current) {
        for member in members.iter() {
            counts.observe(member.id, member.in_hand(), member.last_message(self.started));
        }
    }

    /// What is taken from some is taken before it is given to others.
    fn apply(&self, current: &Current) {
        for takes in [true, false] {
            for member in &current.members {
                let (before, after) = (member.ready(), current.counts.of(member.id));
                if before != after && (after < before) == takes {
                    member.set_ready(after);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
