//! The two stores side by side.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use punctual_scheduler::publisher::Owned;
use punctual_scheduler::reconciler::Reconciler;
use punctual_scheduler::store::{NodeId, RecordSelection, RecordsOf, Run, RunFilter, RunSelection, Store};
use punctual_scheduler_domain::id::{BackfillId, RunId, SessionId};
use punctual_scheduler_domain::name::Namespace;
use punctual_scheduler_domain::run::RunOrigin;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sqlx::PgPool;
use uuid::Uuid;

use crate::conformance::world::World;

/// Both stores, what the driver knows about them, and what it has done so far.
pub(super) struct Pair {
    model: Side,
    postgres: Side,
    pub(super) random: StdRng,
    seed: u64,
    log: Vec<String>,
    /// Names of all runs seen.
    pub(super) runs: Vec<String>,
    /// Doorbells sent: run and dispatch number.
    pub(super) doorbells: Vec<(String, u32)>,
    pub(super) sessions: Vec<SessionId>,
    /// Attempts granted: session, run and number.
    pub(super) grants: Vec<(SessionId, String, u32)>,
    pub(super) backfills: Vec<BackfillId>,
    /// So that no two schedules share an instant.
    pub(super) phases: u64,
}

/// One store, and the names by which its ids go.
pub(super) struct Side {
    pub(super) world: World,
    names: HashMap<RunId, String>,
    ids: HashMap<String, RunId>,
    pub(super) nodes: Vec<NodeId>,
}

impl Side {
    fn new(world: World) -> Self {
        Self { world, names: HashMap::new(), ids: HashMap::new(), nodes: Vec::new() }
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.world.store
    }

    pub(super) fn id(&self, name: &str) -> RunId {
        self.ids.get(name).copied().unwrap_or_else(|| name.parse().expect("a run with a name of its own"))
    }

    pub(super) fn name(&self, id: RunId) -> String {
        self.names.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }

    /// The value as text, with names in the place of ids.
    fn readable(&self, value: &impl Debug) -> String {
        let text = format!("{value:?}");
        let mut readable = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let word = rest.find(|c: char| !c.is_ascii_hexdigit() && c != '-').unwrap_or(rest.len());
            let (id, after) = rest.split_at(word);
            match Uuid::parse_str(id) {
                Ok(id) if word == 36 => readable.push_str(&self.name(RunId(id))),
                _ => readable.push_str(id),
            }
            let mut after = after.chars();
            readable.extend(after.next());
            rest = after.as_str();
        }
        for (place, node) in self.nodes.iter().enumerate() {
            readable = readable.replace(&format!("NodeId({})", node.0), &format!("Node#{place}"));
        }
        readable
    }

    /// Gives planned runs their names. Answers the names of all runs, newest first, and the runs as text.
    async fn look(&mut self) -> (Vec<String>, Vec<String>) {
        let filter = RunFilter { namespace: Namespace::default(), job: None, run: None };
        let all = RunSelection { filter, states: Vec::new(), before: None, limit: 100_000 };
        let mut runs = self.store().list_runs(&all).await.unwrap();
        // The oldest first: what others started is named by them.
        runs.sort_by_key(|run| (run.created_at, run.id));
        for run in &runs {
            if !self.names.contains_key(&run.id)
                && let Some(mut name) = self.name_of_planned(run)
            {
                // A job deleted and made again under its name may have the same instants once more.
                while self.ids.contains_key(&name)
                    && self.world.store.get_run(self.ids[&name]).await.unwrap().is_some()
                {
                    name.push('+');
                }
                self.names.insert(run.id, name.clone());
                self.ids.insert(name, run.id);
            }
        }
        // Those that one call made have no order that both sides share.
        runs.sort_by_key(|run| (std::cmp::Reverse(run.created_at), self.name(run.id)));
        let names = runs.iter().map(|run| self.name(run.id)).collect();
        (names, runs.iter().map(|run| self.readable(run)).collect())
    }
}

impl Side {
    /// What a run is called whose id the store made.
    fn name_of_planned(&self, run: &Run) -> Option<String> {
        let Run { job, due_at, job_version, .. } = run;
        match run.origin {
            RunOrigin::Schedule => Some(format!("<{job} at {due_at} v{job_version}>")),
            RunOrigin::Backfill => {
                Some(format!("<{job} at {due_at} v{job_version} of {:?}>", run.links.backfill))
            }
            RunOrigin::After => {
                let upstream = run.links.upstream_run.map(|upstream| self.name(upstream));
                Some(format!("<{job} v{job_version} after {upstream:?}>"))
            }
            RunOrigin::Trigger | RunOrigin::OneOff | RunOrigin::Rerun => None,
        }
    }
}

impl Pair {
    pub(super) async fn new(pool: PgPool, seed: u64) -> Self {
        let mut pair = Self {
            model: Side::new(World::model()),
            postgres: Side::new(World::postgres(pool).await),
            random: StdRng::seed_from_u64(seed),
            seed,
            log: Vec::new(),
            runs: Vec::new(),
            doorbells: Vec::new(),
            sessions: Vec::new(),
            grants: Vec::new(),
            backfills: Vec::new(),
            phases: 0,
        };
        for side in [&mut pair.model, &mut pair.postgres] {
            for address in ["one:4150", "two:4150"] {
                side.nodes.push(side.world.node(address, "a").await);
            }
        }
        pair
    }

    /// Moves both clocks on, mostly a little, and never onto a whole millisecond.
    pub(super) fn advance(&mut self) {
        let most_ms = match self.random.random_range(0..100) {
            0..60 => 400,
            60..90 => 3_000,
            90..98 => 15_000,
            _ => 300_000,
        };
        let by = Duration::from_millis(self.random.random_range(0..most_ms)) + Duration::from_micros(7);
        self.model.world.advance(by);
        self.postgres.world.advance(by);
        self.log.push(format!("-- {}", self.model.world.now().format("%H:%M:%S%.6f")));
    }

    pub(super) fn now(&self) -> chrono::DateTime<chrono::Utc> {
        self.model.world.now()
    }

    /// Makes a call on both and compares the answers. Answers the model's.
    pub(super) async fn call<T: Debug>(&mut self, what: String, call: impl AsyncFn(&Side) -> T) -> T {
        self.log.push(what);
        let (model, postgres) = (call(&self.model).await, call(&self.postgres).await);
        self.same("answer", &self.model.readable(&model), &self.postgres.readable(&postgres));
        model
    }

    pub(super) fn name(&self, run: RunId) -> String {
        self.model.name(run)
    }

    /// Compares all runs and jobs, and a few runs with their attempts.
    pub(super) async fn compare_views(&mut self) {
        let (names, model) = self.model.look().await;
        let (_, postgres) = self.postgres.look().await;
        self.same("number of runs", &model.len().to_string(), &postgres.len().to_string());
        for (model, postgres) in model.iter().zip(&postgres) {
            self.same("run", model, postgres);
        }
        self.runs = names;
        let default = Namespace::default();
        self.call("list jobs".to_owned(), async |side| {
            side.store().list_jobs(&default, None, 100).await.unwrap()
        })
        .await;
        self.compare_records().await;
        for _ in 0..3 {
            if let Some(run) = self.any_run() {
                self.compare_run(&run).await;
            }
        }
    }

    /// What was done to every job, and what is on record of the last minutes; ids of jobs and events are each side's own.
    async fn compare_records(&mut self) {
        let (from, until) = (self.now() - TimeDelta::minutes(10), self.now() + TimeDelta::seconds(30));
        let selection = RecordSelection { of: RecordsOf::AllAfter(None), from, until, limit: 100 };
        self.call("records".to_owned(), async |side| {
            let found = side.store().job_records(&selection).await.unwrap();
            let mut told: Vec<_> = found
                .into_iter()
                .map(|record| {
                    let since = record.events.first().map(|first| first.at);
                    (record.name, since, record.state, record.events, record.ledger, record.missed)
                })
                .collect();
            told.sort_by(|one, other| (&one.0, one.1).cmp(&(&other.0, other.1)));
            told
        })
        .await;
    }

    /// Whatever was done, all that the jobs' versions asked for is on record.
    pub(super) async fn reconcile(&mut self) {
        let found = self
            .call("reconcile".to_owned(), async |side| {
                Reconciler::new(Arc::clone(&side.world.store), Owned::default()).look().await.unwrap()
            })
            .await;
        let (seed, log) = (self.seed, self.log.join("\n"));
        assert_eq!((found.absent, found.unexpected), (0, 0), "seed {seed}: {found:?}\n{log}");
    }

    pub(super) async fn compare_every_run(&mut self) {
        for run in self.runs.clone() {
            self.compare_run(&run).await;
        }
    }

    async fn compare_run(&mut self, run: &str) {
        self.call(format!("get {run}"), async |side| side.store().get_run(side.id(run)).await.unwrap()).await;
    }

    /// Any run there is; more likely one of the newest.
    pub(super) fn any_run(&mut self) -> Option<String> {
        if self.runs.is_empty() {
            return None;
        }
        let most = if self.random.random_bool(0.7) { 20 } else { usize::MAX };
        let place = self.random.random_range(0..self.runs.len().min(most));
        Some(self.runs[place].clone())
    }

    #[track_caller]
    fn same(&self, what: &str, model: &str, postgres: &str) {
        if model != postgres {
            let calls: Vec<_> = self.log.iter().filter(|line| !line.starts_with("get ")).cloned().collect();
            let last = calls[calls.len().saturating_sub(60)..].join("\n");
            panic!("seed {}\n{last}\n{what} differs\n   model {model}\npostgres {postgres}", self.seed);
        }
    }
}
