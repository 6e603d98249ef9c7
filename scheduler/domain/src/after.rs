//! Jobs that run after others: which end starts which job, and that no circle of jobs starts itself for ever.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::field::FieldError;
use crate::job::JobSpec;
use crate::name::JobName;
use crate::run::RunState;
use crate::word::words;

/// The most jobs that one schedule may name.
pub const MOST_UPSTREAMS: usize = 100;

/// Which ends of an upstream run start the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterOn {
    /// It succeeded.
    #[default]
    Success,
    /// It failed or expired.
    Failure,
    /// It ended, cancelled included.
    Any,
}

words!(AfterOn, "end of an upstream run", Success => "success", Failure => "failure", Any => "any");

impl AfterOn {
    /// Whether a run that came to this state starts the job. One that was skipped never ran and starts nothing.
    pub fn starts(self, ended: RunState) -> bool {
        match ended {
            RunState::Succeeded => matches!(self, Self::Success | Self::Any),
            RunState::Failed | RunState::Expired => matches!(self, Self::Failure | Self::Any),
            RunState::Cancelled => self == Self::Any,
            RunState::Skipped
            | RunState::Scheduled
            | RunState::Blocked
            | RunState::Queued
            | RunState::Running => false,
        }
    }
}

/// Which jobs of a namespace run after which.
#[derive(Debug, Clone, Default)]
pub struct AfterGraph {
    /// What each job runs after.
    upstreams: BTreeMap<JobName, BTreeSet<JobName>>,
}

impl AfterGraph {
    /// Says that `job` runs after `upstream`.
    pub fn add(&mut self, job: JobName, upstream: JobName) {
        self.upstreams.entry(job).or_default().insert(upstream);
    }

    /// Forgets what `job` runs after.
    pub fn clear(&mut self, job: &JobName) {
        self.upstreams.remove(job);
    }

    /// A circle through `job`, from it back to it, in the order in which the runs would start; `None` when there is
    /// none.
    pub fn cycle_through(&self, job: &JobName) -> Option<Vec<JobName>> {
        let next = |of: &JobName| self.upstreams.get(of).into_iter().flatten().cloned().collect::<Vec<_>>();
        // Depth first towards what comes before; an own stack, since a chain may be as long as there are jobs.
        let mut path = vec![job.clone()];
        let mut open = vec![next(job)];
        let mut seen = BTreeSet::new();
        while let Some(upstreams) = open.last_mut() {
            let Some(upstream) = upstreams.pop() else {
                open.pop();
                path.pop();
                continue;
            };
            if upstream == *job {
                path.push(upstream);
                path.reverse();
                return Some(path);
            }
            if seen.insert(upstream.clone()) {
                open.push(next(&upstream));
                path.push(upstream);
            }
        }
        None
    }
}

/// What is wrong with what a job is to run after, given the other jobs: `graph` without this job, and which names there
/// are. Empty when all is well.
pub fn check(
    job: &JobName,
    spec: &JobSpec,
    mut graph: AfterGraph,
    exists: impl Fn(&JobName) -> bool,
) -> Vec<FieldError> {
    let unknown: Vec<_> = spec
        .upstreams()
        .filter(|upstream| upstream.job != job && !exists(upstream.job))
        .map(|upstream| {
            let message = format!("there is no job {}: create it first", upstream.job);
            FieldError::new(upstream.field(), message)
        })
        .collect();
    if !unknown.is_empty() {
        return unknown;
    }
    graph.clear(job);
    for upstream in spec.upstreams() {
        graph.add(job.clone(), upstream.job.clone());
    }
    let Some(cycle) = graph.cycle_through(job) else { return Vec::new() };
    // The last but one is what the job runs after.
    let before = cycle.iter().rev().nth(1);
    let place = spec.upstreams().find(|upstream| Some(upstream.job) == before);
    let message = format!("makes a circle that would start itself for ever: {}", describe_cycle(&cycle));
    let field = place.map_or_else(|| "schedule".to_owned(), |upstream| upstream.field());
    vec![FieldError::new(field, message)]
}

/// The circle as people read it: `a → b → a`.
pub fn describe_cycle(cycle: &[JobName]) -> String {
    let names: Vec<_> = cycle.iter().map(ToString::to_string).collect();
    names.join(" → ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(name: &str) -> JobName {
        JobName::new(name).unwrap()
    }

    fn graph(edges: &[(&str, &str)]) -> AfterGraph {
        let mut graph = AfterGraph::default();
        for (job, upstream) in edges {
            graph.add(name(job), name(upstream));
        }
        graph
    }

    #[track_caller]
    fn check(edges: &[(&str, &str)], job: &str, expect: Option<&str>) {
        let cycle = graph(edges).cycle_through(&name(job));
        assert_eq!(cycle.map(|cycle| describe_cycle(&cycle)).as_deref(), expect);
    }

    #[test]
    fn a_circle_is_named_in_the_order_in_which_its_jobs_would_start() {
        check(&[], "a", None);
        check(&[("a", "a")], "a", Some("a → a"));
        check(&[("a", "b")], "a", None);
        check(&[("a", "b"), ("b", "a")], "a", Some("a → b → a"));
        check(
            &[("load", "extract"), ("report", "load"), ("extract", "report")],
            "load",
            Some("load → report → extract → load"),
        );
        // Two ways to one job are no circle; nor is one that others are in.
        check(&[("d", "b"), ("d", "c"), ("b", "a"), ("c", "a")], "d", None);
        check(&[("b", "c"), ("c", "b"), ("a", "b")], "a", None);
        // A way that leads nowhere is not part of the circle.
        check(&[("a", "z"), ("z", "y"), ("a", "b"), ("b", "a"), ("b", "y")], "a", Some("a → b → a"));
    }

    #[test]
    fn what_never_ran_starts_nothing_and_the_other_ends_start_what_they_say() {
        for (state, success, failure, any) in [
            (RunState::Succeeded, true, false, true),
            (RunState::Failed, false, true, true),
            (RunState::Expired, false, true, true),
            (RunState::Cancelled, false, false, true),
            (RunState::Skipped, false, false, false),
        ] {
            let starts = [AfterOn::Success, AfterOn::Failure, AfterOn::Any].map(|on| on.starts(state));
            assert_eq!(starts, [success, failure, any], "{state}");
        }
    }

    proptest! {
        /// Against the plain definition: a job that can be reached from itself.
        #[test]
        fn a_circle_is_found_where_there_is_one(edges in prop::collection::vec((0..7_u8, 0..7_u8), 0..16)) {
            let named = |job: u8| name(&format!("j{job}"));
            let mut graph = AfterGraph::default();
            for (job, upstream) in &edges {
                graph.add(named(*job), named(*upstream));
            }
            let mut reached: BTreeSet<u8> = edges.iter().filter(|edge| edge.0 == 0).map(|edge| edge.1).collect();
            for _ in 0..7 {
                let more: Vec<_> = edges.iter().filter(|edge| reached.contains(&edge.0)).map(|edge| edge.1).collect();
                reached.extend(more);
            }
            let cycle = graph.cycle_through(&named(0));
            prop_assert_eq!(cycle.is_some(), reached.contains(&0));
            for pair in cycle.unwrap_or_default().windows(2) {
                prop_assert!(graph.upstreams[&pair[1]].contains(&pair[0]), "{} does not start {}", pair[0], pair[1]);
            }
        }
    }
}
