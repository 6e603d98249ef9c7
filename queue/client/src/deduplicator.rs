//! Recognising copies of a message, so that each is worked on once.

use std::{
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use punctual_queue_wire::message::Message;
use tokio::time::Instant;

use crate::consumer::Delivery;

mod keys;

use keys::{Keys, Verdict};

/// What a [`Deduplicator`] remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeduplicatorOptions {
    /// How long a key is remembered after its message was finished: at least as long as its copies may be apart, which
    /// for a node that was away is as long as it was.
    pub window: Duration,
    /// How many finished keys are remembered at most; the oldest are forgotten first.
    pub max_keys: usize,
    /// How long a copy is put off while another is worked on.
    pub ask_again_after: Duration,
}

impl Default for DeduplicatorOptions {
    /// An hour, a hundred thousand keys, a second.
    fn default() -> Self {
        Self {
            window: Duration::from_secs(3_600),
            max_keys: 100_000,
            ask_again_after: Duration::from_secs(1),
        }
    }
}

/// Tells the first copy of a message from further ones, by a key that the publisher put into it. Cheap to clone; clones
/// share what they know.
///
/// It knows only what this process has seen. Of several processes that consume one channel, each may get a copy: either
/// consume a channel published to in [copies](crate::publisher::Publisher::publish_copies) in one process, or keep keys
/// in a store that all share. It also forgets: with its process, after a [while](DeduplicatorOptions::window), and when
/// there are [too many](DeduplicatorOptions::max_keys). So it spares work that is done twice, and does not replace work
/// that may be.
#[derive(Debug)]
pub struct Deduplicator<K> {
    keys: Arc<Mutex<Keys<K>>>,
    ask_again_after: Duration,
}

impl<K> Clone for Deduplicator<K> {
    fn clone(&self) -> Self {
        Self { keys: self.keys.clone(), ask_again_after: self.ask_again_after }
    }
}

impl<K: Clone + Eq + Hash> Deduplicator<K> {
    /// One that has seen nothing.
    pub fn new(options: DeduplicatorOptions) -> Self {
        let keys = Keys::new(options.window, options.max_keys);
        Self { keys: Arc::new(Mutex::new(keys)), ask_again_after: options.ask_again_after }
    }

    /// The delivery, if it is to be worked on. If a copy was finished before, it is finished too. If a copy is being
    /// worked on, it is put off, because that work may yet fail; each time counts as an attempt.
    pub fn admit(&self, key: K, delivery: Delivery) -> Option<Unique<K>> {
        let verdict = self.lock().admit(&key, Instant::now());
        match verdict {
            Verdict::New => {}
            Verdict::Finished => {
                delivery.finish();
                return None;
            }
            Verdict::InHand => {
                delivery.requeue(self.ask_again_after);
                return None;
            }
        }
        Some(Unique { delivery, claim: Claim { key, keys: self.keys.clone(), is_finished: false } })
    }

    fn lock(&self) -> MutexGuard<'_, Keys<K>> {
        lock(&self.keys)
    }
}

fn lock<K>(keys: &Mutex<Keys<K>>) -> MutexGuard<'_, Keys<K>> {
    keys.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A delivery of which no copy is worked on or was finished. Dropped without an answer, a copy may be worked on.
#[derive(Debug)]
pub struct Unique<K: Clone + Eq + Hash> {
    delivery: Delivery,
    claim: Claim<K>,
}

impl<K: Clone + Eq + Hash> Unique<K> {
    /// The message.
    pub fn message(&self) -> &Message {
        self.delivery.message()
    }

    /// The delivery, to touch it.
    pub fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    /// It is done: neither it nor a copy is worked on again, also when its node does not hear of it.
    pub fn finish(self) {
        let Self { delivery, mut claim } = self;
        claim.is_finished = true;
        drop(claim);
        delivery.finish();
    }

    /// It, or a copy, is to be worked on later; see [`Delivery::requeue`].
    pub fn requeue(self, delay: Duration) {
        self.delivery.requeue(delay);
    }

    /// The same, and the consumer backs off; see [`Delivery::fail`].
    pub fn fail(self, delay: Duration) {
        self.delivery.fail(delay);
    }
}

/// Keeps copies from being worked on until it is dropped, and from then on if the message is finished.
#[derive(Debug)]
struct Claim<K: Clone + Eq + Hash> {
    key: K,
    keys: Arc<Mutex<Keys<K>>>,
    is_finished: bool,
}

impl<K: Clone + Eq + Hash> Drop for Claim<K> {
    fn drop(&mut self) {
        let mut keys = lock(&self.keys);
        if self.is_finished {
            keys.finished(&self.key, Instant::now());
        } else {
            keys.released(&self.key);
        }
    }
}
