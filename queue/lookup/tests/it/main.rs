//! The discovery daemon through its two ports.

mod http;
mod lookup;
mod registration;
mod tls;
