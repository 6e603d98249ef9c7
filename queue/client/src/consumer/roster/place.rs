//! What the roster, a connection and its deliveries share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::Roster;
use crate::consumer::{command_queue::CommandQueue, ready::MemberId};

/// A connection on the roster.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: MemberId,
    queue: Arc<CommandQueue>,
    /// The ready count it was last given.
    ready: AtomicU32,
    in_hand: AtomicU32,
    /// In milliseconds since a start that the roster keeps, and one more; 0 before the first.
    last_message: AtomicU64,
}

impl Member {
    pub(super) fn new(id: MemberId, queue: Arc<CommandQueue>, ready: u32) -> Self {
        let (in_hand, last_message) = (AtomicU32::new(0), AtomicU64::new(0));
        Self { id, queue, ready: ready.into(), in_hand, last_message }
    }

    pub(super) fn ready(&self) -> u32 {
        self.ready.load(Ordering::Relaxed)
    }

    /// Only with the roster's lock held.
    pub(super) fn set_ready(&self, count: u32) {
        self.ready.store(count, Ordering::Relaxed);
        self.queue.set_ready(count);
    }

    pub(super) fn in_hand(&self) -> u32 {
        self.in_hand.load(Ordering::SeqCst)
    }

    /// Whether so much is in hand that soon nothing more may come: 85 %, as go-nsq has it.
    pub(super) fn is_starved(&self) -> bool {
        let in_hand = u64::from(self.in_hand());
        in_hand > 0 && in_hand * 100 >= u64::from(self.ready()) * 85
    }

    pub(super) fn last_message(&self, start: Instant) -> Option<Instant> {
        let ms = self.last_message.load(Ordering::Relaxed);
        ms.checked_sub(1).map(|ms| start + Duration::from_millis(ms))
    }

    fn delivered(&self, start: Instant) {
        // A consumer does not run for millions of years.
        let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.last_message.store(ms + 1, Ordering::Relaxed);
        self.in_hand.fetch_add(1, Ordering::SeqCst);
    }
}

/// A connection's place on the roster.
#[derive(Debug)]
pub(in crate::consumer) struct Place {
    roster: Arc<Roster>,
    member: Arc<Member>,
}

impl Place {
    pub(super) fn new(roster: Arc<Roster>, member: Arc<Member>) -> Self {
        Self { roster, member }
    }

    /// Strikes the connection off: it delivers nothing more.
    pub(in crate::consumer) fn leave(&self) {
        self.roster.change(|current, now| {
            current.counts.leave(self.member.id, now);
            current.members.retain(|member| member.id != self.member.id);
            self.roster.connections.send_replace(current.members.len());
        });
    }

    /// Notes that the connection has delivered a message.
    pub(in crate::consumer) fn hold(&self) -> Hold {
        let (roster, member) = (&self.roster, &self.member);
        member.delivered(roster.started);
        roster.in_hand.fetch_add(1, Ordering::AcqRel);
        Hold { roster: roster.clone(), member: member.clone() }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.member.queue.close();
        self.leave();
    }
}

/// Counts a message as in hand until it is dropped.
#[derive(Debug)]
pub(in crate::consumer) struct Hold {
    roster: Arc<Roster>,
    member: Arc<Member>,
}

impl Hold {
    /// Where commands for the message's connection go.
    pub(in crate::consumer) fn queue(&self) -> &CommandQueue {
        &self.member.queue
    }

    /// The message was finished.
    pub(in crate::consumer) fn succeeded(&self) {
        self.roster.succeeded();
    }

    /// The message failed.
    pub(in crate::consumer) fn failed(&self) {
        self.roster.failed();
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // Sequentially consistent, as in `change`: either this sees that it matters, or that sees this.
        self.member.in_hand.fetch_sub(1, Ordering::SeqCst);
        if self.roster.attentive.load(Ordering::SeqCst) {
            self.roster.change(|current, now| current.counts.answered(now));
        }
        if self.roster.in_hand.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.roster.emptied.notify_waiters();
        }
    }
}
