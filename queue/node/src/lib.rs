//! Punctual's queue node: NSQ's protocol on a durable log.
