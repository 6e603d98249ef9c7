//! The worker SDK of Punctual and its ready-made runner.
