//! Processor time of processes.

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

/// User and system time of a process and all below it, including those that ended and were waited for.
pub(crate) fn used_by_tree(root: u32) -> Duration {
    let stats: Vec<Stat> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Stat::of(entry.file_name().to_str()?.parse().ok()?))
        .collect();
    let mut tree = HashSet::from([root]);
    // Children may be listed before their parents.
    loop {
        let below = stats.iter().filter(|stat| tree.contains(&stat.parent) && !tree.contains(&stat.pid));
        let below: Vec<u32> = below.map(|stat| stat.pid).collect();
        if below.is_empty() {
            break;
        }
        tree.extend(below);
    }
    let ticks: u64 = stats.iter().filter(|stat| tree.contains(&stat.pid)).map(|stat| stat.ticks).sum();
    // Linux counts in hundredths of a second, whatever its own timer does.
    Duration::from_millis(ticks * 10)
}

struct Stat {
    pid: u32,
    parent: u32,
    ticks: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in parentheses, may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        // State is field 3 of proc(5), so parent is 4 and utime, stime, cutime, cstime are 14 to 17.
        let ticks = number(11)? + number(12)? + number(13)? + number(14)?;
        Some(Self { pid, parent: u32::try_from(number(1)?).ok()?, ticks })
    }
}
