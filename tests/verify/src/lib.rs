//! The checker of Punctual's histories; shares no code with the system.
