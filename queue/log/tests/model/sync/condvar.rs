//! A condition variable with the interface of `parking_lot`'s. The checker's own never times out.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use shuttle::sync::mpsc;

use super::clock::{self, Instant};
use super::mutex::MutexGuard;

/// Its own state is behind a mutex the checker does not see: what is done with it takes no time.
#[derive(Debug, Default)]
pub(crate) struct Condvar {
    waiters: Mutex<VecDeque<Arc<Waiter>>>,
}

#[derive(Debug)]
struct Waiter {
    notified: AtomicBool,
    wake: mpsc::Sender<()>,
}

pub(crate) struct Waited {
    timed_out: bool,
}

impl Waited {
    pub(crate) fn timed_out(&self) -> bool {
        self.timed_out
    }
}

impl Condvar {
    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        self.wait_for(guard, None);
    }

    pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, deadline: Instant) -> Waited {
        self.wait_for(guard, Some(deadline))
    }

    pub(crate) fn notify_one(&self) {
        let waiter = self.waiters.lock().unwrap().pop_front();
        if let Some(waiter) = waiter {
            waiter.notify();
        }
    }

    pub(crate) fn notify_all(&self) {
        let waiters = std::mem::take(&mut *self.waiters.lock().unwrap());
        waiters.iter().for_each(|waiter| waiter.notify());
    }

    fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, deadline: Option<Instant>) -> Waited {
        // Others may run before this and not after it: to them, unlocking and waiting are one.
        guard.unlock();
        let (wake, woken) = mpsc::channel();
        if deadline.is_some() {
            clock::wake_when_time_passes(wake.clone());
        }
        let waiter = Arc::new(Waiter { notified: AtomicBool::new(false), wake });
        self.waiters.lock().unwrap().push_back(Arc::clone(&waiter));
        let timed_out = loop {
            if waiter.notified.load(Ordering::Relaxed) {
                break false;
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                break true;
            }
            woken.recv().unwrap(); // at once if it was woken since
        };
        self.waiters.lock().unwrap().retain(|other| !Arc::ptr_eq(other, &waiter));
        guard.relock();
        Waited { timed_out }
    }
}

impl Waiter {
    fn notify(&self) {
        self.notified.store(true, Ordering::Relaxed);
        let _ = self.wake.send(()); // it may have timed out by now
    }
}
