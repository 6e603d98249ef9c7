//! What a job may have been defined as at each instant.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::history::{Call, HistoryError};
use crate::register::{Change, Register};
use crate::spec::{JobSpec, OverlapSpec, Walkable};
use crate::time::DbTime;

/// Everything that was put, in the order of the calls.
#[derive(Debug)]
pub(crate) struct Definitions {
    puts: Vec<Put>,
    /// Index into `puts`; `None` while the job does not exist.
    current: Register<Option<usize>>,
    active: Register<bool>,
    pub(crate) paused: Vec<Change<()>>,
    pub(crate) deleted: Vec<Change<()>>,
}

#[derive(Debug)]
struct Put {
    line: usize,
    spec: JobSpec,
    schedules: Vec<Walkable>,
    /// The version that the answer named, and when it was surely in force.
    answered: Option<(u32, DbTime)>,
}

/// A call on a job, with when it may have taken effect.
pub(crate) struct Edit<'a> {
    pub(crate) kind: EditKind,
    pub(crate) line: usize,
    pub(crate) call: &'a Call,
    pub(crate) from: DbTime,
    pub(crate) to: Option<DbTime>,
    pub(crate) ver: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EditKind {
    Put,
    Pause,
    Resume,
    Delete,
}

impl Definitions {
    pub(crate) fn new() -> Self {
        Self {
            puts: Vec::new(),
            current: Register::new(None),
            active: Register::new(false),
            paused: Vec::new(),
            deleted: Vec::new(),
        }
    }

    /// Adds a call that was not refused; in the order in which they were sent.
    pub(crate) fn push(&mut self, edit: &Edit<'_>) -> Result<(), HistoryError> {
        let change = |value: bool| Change { from: edit.from, to: edit.to, value };
        match edit.kind {
            EditKind::Put => {
                let spec = edit.call.spec.clone();
                let spec = spec.ok_or(HistoryError::Incomplete { line: edit.line, field: "spec" })?;
                let schedules =
                    spec.schedule.iter().map(|schedule| schedule.walkable()).collect::<Result<_, _>>();
                let schedules = schedules.map_err(|source| HistoryError::Spec { line: edit.line, source })?;
                // Only making a job also makes it active; whether this put made it may be unknown.
                let existed = self.current.possible_at(edit.from);
                if existed.contains(&None) {
                    let sure = existed.len() == 1;
                    self.active.push(Change { from: edit.from, to: edit.to.filter(|_| sure), value: true });
                }
                self.current.push(Change { from: edit.from, to: edit.to, value: Some(self.puts.len()) });
                let answered = edit.ver.zip(edit.to);
                self.puts.push(Put { line: edit.line, spec, schedules, answered });
            }
            EditKind::Pause => {
                self.active.push(change(false));
                self.paused.push(Change { from: edit.from, to: edit.to, value: () });
            }
            EditKind::Resume => self.active.push(change(true)),
            EditKind::Delete => {
                self.current.push(Change { from: edit.from, to: edit.to, value: None });
                self.active.push(change(false));
                self.deleted.push(Change { from: edit.from, to: edit.to, value: () });
            }
        }
        Ok(())
    }

    /// Each instant up to `until` that any of the definitions names, with which of them do.
    pub(crate) fn instants(&self, until: DbTime) -> BTreeMap<DbTime, BTreeSet<usize>> {
        let mut instants: BTreeMap<DbTime, BTreeSet<usize>> = BTreeMap::new();
        for change in self.current.changes() {
            let Some(index) = change.value else { continue };
            for schedule in &self.puts[index].schedules {
                for at in schedule.instants(change.from, until) {
                    instants.entry(at).or_default().insert(index);
                }
            }
        }
        instants
    }

    /// Whether the job surely, possibly or surely not has an instant at `at`, given who names it. What was in force
    /// up to `lead` before may still have its way.
    pub(crate) fn due_at(&self, at: DbTime, lead: Duration, named_by: &BTreeSet<usize>) -> Due {
        let names = |put: &Option<usize>| put.is_some_and(|index| named_by.contains(&index));
        if self.active.possible_at(at) == [true] && self.current.possible_at(at).iter().all(names) {
            return Due::Must;
        }
        let since = at.minus(lead);
        let may = self.active.possible_between(since, at).contains(&true)
            && self.current.possible_between(since, at).iter().any(names);
        if may { Due::May } else { Due::Not }
    }

    /// The specs that may have been in force at `at` or any time up to `until`.
    pub(crate) fn specs_between(&self, at: DbTime, until: DbTime) -> impl Iterator<Item = &JobSpec> {
        let indices: BTreeSet<usize> =
            self.current.possible_between(at, until).into_iter().flatten().collect();
        indices.into_iter().map(|index| &self.puts[index].spec)
    }

    /// Every spec there ever was.
    pub(crate) fn specs(&self) -> impl Iterator<Item = &JobSpec> {
        self.puts.iter().map(|put| &put.spec)
    }

    /// A put whose version was surely in force `lead` before `at` and is newer than `ver`.
    pub(crate) fn newer_in_force(&self, ver: u32, at: DbTime, lead: Duration) -> Option<usize> {
        self.puts
            .iter()
            .find(|put| put.answered.is_some_and(|(newer, since)| newer > ver && since.plus(lead) < at))
            .map(|put| put.line)
    }

    /// Whether it was `skip` all along.
    pub(crate) fn always_skips(&self) -> bool {
        self.puts.iter().all(|put| put.spec.overlap == OverlapSpec::Skip)
    }

    /// Where its first definition stands.
    pub(crate) fn line(&self) -> Option<usize> {
        self.puts.first().map(|put| put.line)
    }
}

/// Whether there is an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Must,
    May,
    Not,
}
