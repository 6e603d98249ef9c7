//! What every long-running part of Punctual has: clock, shutdown, TLS, tokens, metrics, health, log set-up.
