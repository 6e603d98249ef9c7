//! The table of a run's transitions, as data.
