//! The queue node on a disk that fails, is full, or is slow.

mod failing;
mod filled;
mod full;
mod slow;
