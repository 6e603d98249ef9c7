//! The queue between those who append and the thread that writes, under every schedule there is: few enough once the
//! writing is left out.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use crate::committer::{Queue, Request};
use crate::error::AppendError;
use crate::explore::explore_all;
use crate::fixture::TINY;
use crate::log::{Durability, Shared};
use crate::model_disk::ModelDisk;
use crate::position::Position;
use crate::record::Record;
use crate::sync::thread::{self, JoinHandle};

/// A queue and what became of that which went into it.
#[derive(Clone)]
struct Handshake {
    queue: Arc<Queue>,
    log: Arc<Shared>,
    taken: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
}

impl Handshake {
    fn new() -> Self {
        let disk = Arc::new(ModelDisk::default());
        let (log, _) = crate::recovery::open(Path::new("/data/log"), TINY, disk, Position::START).unwrap();
        Self { queue: Arc::default(), log: Arc::new(log), taken: Arc::default(), refused: Arc::default() }
    }

    /// Appends, and does not wait.
    fn push(&self) {
        let (taken, refused) = (Arc::clone(&self.taken), Arc::clone(&self.refused));
        let count = move |result| match result {
            Ok(_) => taken.fetch_add(1, Ordering::Relaxed),
            Err(AppendError::Stopped) => refused.fetch_add(1, Ordering::Relaxed),
            Err(other) => panic!("{other}"),
        };
        self.queue.push(Request {
            log: Arc::clone(&self.log),
            record: Record::from(Bytes::from_static(b"record")),
            durability: Durability::Synced,
            done: Box::new(move |result| _ = count(result)),
        });
    }

    fn pushing(&self) -> JoinHandle<()> {
        let this = self.clone();
        thread::spawn(move || this.push())
    }

    /// Does what the committer's thread does, but for the disk, until there were `enough` or there will be no more.
    fn take(&self, enough: usize) {
        while self.taken.load(Ordering::Relaxed) < enough {
            let Some(requests) = self.queue.take(None) else { return };
            requests.into_iter().for_each(|request| (request.done)(Ok(Position::START)));
        }
    }

    fn counts(&self) -> (usize, usize) {
        (self.taken.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }
}

#[test]
fn no_append_is_slept_over_under_any_schedule() {
    let schedules = explore_all(|| {
        let handshake = Handshake::new();
        let pushing = [handshake.pushing(), handshake.pushing()];
        handshake.take(2); // nobody would ever wake it, were it not for those two
        for thread in pushing {
            thread.join().unwrap();
        }
        assert_eq!(handshake.counts(), (2, 0));
    });
    println!("{schedules} schedules");
    assert!(schedules > 100, "too little happened");
}

#[test]
fn an_append_that_meets_a_stop_is_taken_or_refused_under_any_schedule() {
    let schedules = explore_all(|| {
        let handshake = Handshake::new();
        let pushing = handshake.pushing();
        let stopping = thread::spawn({
            let queue = Arc::clone(&handshake.queue);
            move || queue.refuse(AppendError::Stopped)
        });
        handshake.take(usize::MAX);
        pushing.join().unwrap();
        assert_eq!(stopping.join().unwrap().len(), 0);
        let (taken, refused) = handshake.counts();
        assert_eq!(taken + refused, 1);
    });
    println!("{schedules} schedules");
    assert!(schedules > 100, "too little happened");
}
