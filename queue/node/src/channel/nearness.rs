//! How near consumers are to the node.

/// Where a consumer is, as seen from the node; the nearest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Nearness {
    Zone,
    Region,
    /// Elsewhere, or nobody asked.
    #[default]
    Elsewhere,
}

impl Nearness {
    /// How many there are.
    pub(crate) const COUNT: usize = Self::Elsewhere as usize + 1;
}
