//! The times in which a declared fault may have been felt.

use std::time::Duration;

use crate::time::DbTime;

/// A union of stretches of database time.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    /// Disjoint, in order.
    stretches: Vec<(DbTime, DbTime)>,
}

impl Windows {
    pub(crate) fn new(mut stretches: Vec<(DbTime, DbTime)>) -> Self {
        stretches.sort();
        let mut merged: Vec<(DbTime, DbTime)> = Vec::new();
        for (from, to) in stretches {
            match merged.last_mut() {
                Some((_, end)) if from <= *end => *end = (*end).max(to),
                _ => merged.push((from, to)),
            }
        }
        Self { stretches: merged }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.stretches.is_empty()
    }

    /// When `allowance` of fault-free time has passed since `from`.
    pub(crate) fn after_calm(&self, from: DbTime, allowance: Duration) -> DbTime {
        let mut end = from.plus(allowance);
        for (begin, over) in &self.stretches {
            if *over <= from {
                continue;
            }
            if *begin >= end {
                break;
            }
            end = DbTime(end.0 + (over.0 - (*begin).max(from).0));
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_does_not_run_while_a_fault_is_felt() {
        let at = |s: i64| DbTime(s * 1_000_000);
        let windows = Windows::new(vec![(at(20), at(30)), (at(10), at(12)), (at(25), at(35))]);
        let allowance = Duration::from_secs(3);
        assert_eq!(windows.after_calm(at(0), allowance), at(3));
        assert_eq!(windows.after_calm(at(8), allowance), at(13));
        assert_eq!(windows.after_calm(at(11), allowance), at(15));
        assert_eq!(windows.after_calm(at(34), allowance), at(38));
        assert_eq!(windows.after_calm(at(18), allowance), at(36));
    }
}
