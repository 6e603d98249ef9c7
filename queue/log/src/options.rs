//! How big the pieces of a log are.

/// Sizes of a log's segments.
#[derive(Debug, Clone, Copy)]
pub struct LogOptions {
    /// Bytes of the first segment. Each next one is twice the size of the last, so a small log stays small.
    pub first_segment_bytes: u32,
    /// Bytes no segment is planned beyond (one record larger than that gets a segment of its own size).
    pub max_segment_bytes: u32,
    /// Zeros are written ahead of the end in steps of at least this many bytes, so that a sync changes no metadata.
    pub min_zero_step_bytes: u32,
    /// The steps grow with the segment up to this many bytes.
    pub max_zero_step_bytes: u32,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            first_segment_bytes: 1024 * 1024,
            max_segment_bytes: 64 * 1024 * 1024,
            min_zero_step_bytes: 64 * 1024,
            max_zero_step_bytes: 4 * 1024 * 1024,
        }
    }
}

impl LogOptions {
    /// The capacity of the segment after one of `capacity` bytes.
    pub(crate) fn capacity_after(&self, capacity: u32) -> u32 {
        capacity.saturating_mul(2).min(self.max_segment_bytes).max(self.first_segment_bytes)
    }
}
