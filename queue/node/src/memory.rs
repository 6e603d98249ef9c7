//! What the process's memory takes, under the names that nsqd has from Go's runtime.

use serde::Serialize;

/// What can be known of it from outside: what is in use. Nobody here collects garbage, so the rest is zero, and there
/// only because dashboards ask for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct MemoryStats {
    heap_objects: u64,
    heap_idle_bytes: u64,
    heap_in_use_bytes: u64,
    heap_released_bytes: u64,
    gc_pause_usec_100: u64,
    gc_pause_usec_99: u64,
    gc_pause_usec_95: u64,
    next_gc_bytes: u64,
    gc_total_runs: u64,
}

impl MemoryStats {
    /// This process's, as of now. Zeros on a system that does not tell.
    pub(crate) fn of_process() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self::from_status(&status)
    }

    /// What is neither a file's nor shared, of a process whose `/proc/PID/status` is this.
    fn from_status(status: &str) -> Self {
        let kilobytes = status.lines().find_map(|line| line.strip_prefix("RssAnon:")?.strip_suffix("kB"));
        let bytes =
            kilobytes.and_then(|number| number.trim().parse::<u64>().ok()).map(|number| number * 1024);
        Self { heap_in_use_bytes: bytes.unwrap_or_default(), ..Self::default() }
    }

    /// What has a value at any moment, in nsqd's order. Beside it there is only a counter.
    pub(crate) fn gauges(&self) -> [(&'static str, u64); 8] {
        [
            ("heap_objects", self.heap_objects),
            ("heap_idle_bytes", self.heap_idle_bytes),
            ("heap_in_use_bytes", self.heap_in_use_bytes),
            ("heap_released_bytes", self.heap_released_bytes),
            ("gc_pause_usec_100", self.gc_pause_usec_100),
            ("gc_pause_usec_99", self.gc_pause_usec_99),
            ("gc_pause_usec_95", self.gc_pause_usec_95),
            ("next_gc_bytes", self.next_gc_bytes),
        ]
    }

    /// How often garbage was collected.
    pub(crate) fn gc_total_runs(&self) -> u64 {
        self.gc_total_runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_is_found_or_is_zero() {
        let status = "VmRSS:\t    9000 kB\nRssAnon:\t    1234 kB\nRssFile:\t    7766 kB\n";
        assert_eq!(MemoryStats::from_status(status).heap_in_use_bytes, 1234 * 1024);
        for unknown in ["", "RssAnon:\n", "RssAnon:\tmuch kB\n"] {
            assert_eq!(MemoryStats::from_status(unknown), MemoryStats::default());
        }
    }
}
