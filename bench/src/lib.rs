//! Load generators and comparisons for Punctual.
