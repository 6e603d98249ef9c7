//! How much a test may do.

/// Whether this is `cargo xtask test --full`, where tests may take minutes.
pub fn is_full() -> bool {
    std::env::var_os("PUNCTUAL_TEST_FULL").is_some()
}
