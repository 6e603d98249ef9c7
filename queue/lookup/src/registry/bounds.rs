//! How much a lookup keeps in memory for others.

/// How many names there may be. A name has 64 bytes at most, so this bounds the memory too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Topics and channels that one node may have.
    pub of_node: usize,
    /// Topics and channels in all, also those that no node has any more.
    pub of_all: usize,
}
