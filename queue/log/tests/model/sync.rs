//! In the place of `src/sync.rs`: the same names. Threads run when the model checker lets them, and time passes when
//! a test says so.

mod clock;
mod condvar;
mod mutex;

pub(crate) use shuttle::sync::atomic::{AtomicBool, Ordering};
pub(crate) use shuttle::sync::mpsc;
pub(crate) use shuttle::thread;

pub(crate) use clock::{Instant, advance};
pub(crate) use condvar::Condvar;
pub(crate) use mutex::Mutex;
