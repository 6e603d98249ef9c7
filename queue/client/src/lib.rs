//! Producer and consumer for any NSQ server: discovery, ready counts, reconnects.
