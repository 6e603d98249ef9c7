//! The log through its public interface, on a real file system and on one that fails.

mod fixture;

mod appending;
mod failing;
mod recovering;
mod torn;
