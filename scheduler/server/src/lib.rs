//! Punctual's scheduler: store, planner, publisher, reaper and API.
