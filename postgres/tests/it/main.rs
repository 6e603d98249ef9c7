//! Real Postgres: made, served, stopped, killed and recovered.

#![expect(clippy::unwrap_used, reason = "what goes wrong in a test's helpers fails the test, as it should")]

mod holder;
mod killed;
mod lifecycle;
mod places;
