//! The client against a scripted NSQ server.
