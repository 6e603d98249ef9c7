//! A time of day that each schedule begins anew, and that stands still until it is moved.

use std::sync::Mutex;
use std::time::Duration;

use shuttle::sync::mpsc;

shuttle::lazy_static! {
    static ref CLOCK: Mutex<Clock> = Mutex::default();
}

#[derive(Debug, Default)]
struct Clock {
    now: Duration,
    /// Woken when time passes, to see for themselves whether it was enough.
    sleepers: Vec<mpsc::Sender<()>>,
}

/// A moment, as the time since the schedule began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(Duration);

impl Instant {
    pub(crate) fn now() -> Self {
        Self(CLOCK.lock().unwrap().now)
    }

    pub(crate) fn elapsed(self) -> Duration {
        Self::now().0 - self.0
    }
}

impl std::ops::Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }
}

/// Lets so much time pass at once.
pub(crate) fn advance(duration: Duration) {
    shuttle::thread::sleep(duration); // others may run before, but for them that takes no time
    let sleepers = {
        let mut clock = CLOCK.lock().unwrap();
        clock.now += duration;
        clock.sleepers.clone()
    };
    for sleeper in sleepers {
        let _ = sleeper.send(()); // most of them have been woken before, and are gone
    }
}

/// Has `sleeper` told whenever time passes.
pub(super) fn wake_when_time_passes(sleeper: mpsc::Sender<()>) {
    CLOCK.lock().unwrap().sleepers.push(sleeper);
}
