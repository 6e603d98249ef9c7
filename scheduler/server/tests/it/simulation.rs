//! A whole Punctual in simulated time: the model of the ledger, a queue, and workers, hours of it in seconds.

mod faults;
mod fleet;
mod quiet_hours;
mod scene;
