//! Whole-system tests of Punctual: real processes, real Postgres, faults.
