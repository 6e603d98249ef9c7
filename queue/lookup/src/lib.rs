//! Punctual's discovery daemon: which queue node holds which topic.
