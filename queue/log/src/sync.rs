//! What threads share, wait with and read the time from.
//!
//! Whatever the group commit uses of these it takes from here: `tests/model` compiles the same sources with another
//! module in this one's place, where a model checker decides who runs when.

pub(crate) use std::sync::atomic::{AtomicBool, Ordering};
pub(crate) use std::sync::mpsc;
pub(crate) use std::thread;
pub(crate) use std::time::Instant;

pub(crate) use parking_lot::{Condvar, Mutex};
