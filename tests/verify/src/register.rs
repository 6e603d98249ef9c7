//! A value that calls change, of which only the calls' beginnings and ends are known.

use crate::time::DbTime;

/// What is known of one change: it took effect at one moment after `from` and before `to`.
#[derive(Debug, Clone)]
pub(crate) struct Change<T> {
    pub(crate) from: DbTime,
    /// `None`: nobody knows when, or whether at all.
    pub(crate) to: Option<DbTime>,
    pub(crate) value: T,
}

/// The changes of one value.
#[derive(Debug, Clone)]
pub(crate) struct Register<T> {
    initial: T,
    changes: Vec<Change<T>>,
}

impl<T: Clone + PartialEq> Register<T> {
    pub(crate) fn new(initial: T) -> Self {
        Self { initial, changes: Vec::new() }
    }

    pub(crate) fn push(&mut self, change: Change<T>) {
        self.changes.push(change);
    }

    pub(crate) fn changes(&self) -> &[Change<T>] {
        &self.changes
    }

    /// Every value it may have had at some time from `first` to `last`.
    pub(crate) fn possible_between(&self, first: DbTime, last: DbTime) -> Vec<T> {
        let mut possible = self.possible_at(first);
        for change in &self.changes {
            if (first..=last).contains(&change.from) && !possible.contains(&change.value) {
                possible.push(change.value.clone());
            }
        }
        possible
    }

    /// Every value it may have had at `at`; one, where that is certain.
    pub(crate) fn possible_at(&self, at: DbTime) -> Vec<T> {
        let done = |change: &Change<T>| change.to.is_some_and(|to| to < at);
        let overwritten = |change: &Change<T>| {
            change.to.is_some_and(|to| self.changes.iter().any(|later| done(later) && later.from > to))
        };
        let mut possible = Vec::new();
        if !self.changes.iter().any(done) {
            possible.push(self.initial.clone());
        }
        for change in &self.changes {
            if change.from <= at && !overwritten(change) && !possible.contains(&change.value) {
                possible.push(change.value.clone());
            }
        }
        possible
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(changes: &[(i64, Option<i64>, char)], at: i64, expect: &str) {
        let mut register = Register::new('-');
        for (from, to, value) in changes {
            register.push(Change { from: DbTime(*from), to: to.map(DbTime), value: *value });
        }
        assert_eq!(register.possible_at(DbTime(at)).into_iter().collect::<String>(), expect);
    }

    #[test]
    fn a_change_is_possible_from_its_call_and_certain_after_its_answer() {
        check(&[(10, Some(20), 'a')], 5, "-");
        check(&[(10, Some(20), 'a')], 15, "-a");
        check(&[(10, Some(20), 'a')], 25, "a");
        check(&[(10, Some(20), 'a'), (30, Some(40), 'b')], 35, "ab");
        check(&[(10, Some(20), 'a'), (30, Some(40), 'b')], 45, "b");
    }

    #[test]
    fn an_unknown_outcome_stays_possible_for_ever() {
        check(&[(10, None, 'a')], 100, "-a");
        check(&[(10, None, 'a'), (30, Some(40), 'b')], 100, "ab");
    }

    #[test]
    fn of_calls_at_the_same_time_either_may_be_the_last() {
        check(&[(10, Some(30), 'a'), (20, Some(40), 'b')], 50, "ab");
    }
}
