//! The tools against our own node and lookup.

mod servers;

mod tool;

mod nsq_to_file;
mod nsq_to_http;
mod nsq_to_nsq;
