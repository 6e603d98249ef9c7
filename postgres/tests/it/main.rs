//! Real Postgres: made, served, stopped, killed and recovered.

mod holder;
mod killed;
mod lifecycle;
mod places;
