//! Punctual: a distributed task scheduler on an NSQ-style queue, in one binary.

fn main() {}
