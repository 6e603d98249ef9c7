//! Finds, starts and stops a real Postgres for development, tests and benchmarks.
