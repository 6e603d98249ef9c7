//! Schedules, policies and the state machine of a run, as pure code.
