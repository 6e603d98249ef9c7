//! Builds histories: second 0 is 2026-03-01T00:00:00Z, and both clocks tick alike from there.

use punctual_verify::history::{Call, Event, History, Origin, Outcome, Phase, RunRow, State, What};
use punctual_verify::spec::{JobSpec, OverlapSpec, ScheduleSpec};
use punctual_verify::time::{DbTime, Tick};
use punctual_verify::verdict::{Clause, Verdict};
use punctual_verify::{Options, check};

/// The database's time at a second of the story.
pub(crate) fn at(second: f64) -> DbTime {
    let start = DbTime::parse("2026-03-01T00:00:00Z").expect("a constant");
    DbTime(start.0 + (second * 1e6).round() as i64)
}

/// Runs once a second, side by side, with two tries.
pub(crate) fn every_second() -> JobSpec {
    let schedule = vec![ScheduleSpec { every: Some("1s".to_owned()), ..ScheduleSpec::default() }];
    JobSpec { schedule, overlap: OverlapSpec::Allow, max_tries: Some(2), may_expire: false }
}

/// The same, but skipping overlaps.
pub(crate) fn skipping() -> JobSpec {
    JobSpec { overlap: OverlapSpec::Skip, ..every_second() }
}

#[derive(Default)]
pub(crate) struct Story {
    events: Vec<Event>,
    op: u64,
}

impl Story {
    pub(crate) fn new() -> Self {
        let mut story = Self::default();
        story.event(0.0, What::Clock { db: at(0.0), took_ns: 0 });
        story
    }

    pub(crate) fn event(&mut self, second: f64, what: What) -> &mut Self {
        let ts = Tick((second * 1e9).round() as i64);
        self.events.push(Event { ts, p: String::new(), what });
        self
    }

    /// A call sent at `second` and ended a hundredth later.
    pub(crate) fn call(&mut self, second: f64, kind: fn(Call) -> What, inv: Call, end: Call) -> &mut Self {
        self.op += 1;
        let op = self.op;
        self.event(second, kind(Call { ph: Phase::Inv, op, ..inv }));
        self.event(second + 0.01, kind(Call { op, ..end }))
    }

    pub(crate) fn put(&mut self, second: f64, job: &str, spec: JobSpec) -> &mut Self {
        self.put_ending(second, job, spec, Phase::Ok, None)
    }

    pub(crate) fn put_ending(
        &mut self,
        second: f64,
        job: &str,
        spec: JobSpec,
        ph: Phase,
        ver: Option<u32>,
    ) -> &mut Self {
        let inv = Call { job: Some(job.to_owned()), spec: Some(spec), witness: true, ..Call::default() };
        self.call(second, What::JobPut, inv, Call { ph, ver, ..Call::default() })
    }

    pub(crate) fn pause(&mut self, second: f64, job: &str) -> &mut Self {
        self.plain(second, What::JobPause, job)
    }

    pub(crate) fn resume(&mut self, second: f64, job: &str) -> &mut Self {
        self.plain(second, What::JobResume, job)
    }

    pub(crate) fn delete(&mut self, second: f64, job: &str) -> &mut Self {
        self.plain(second, What::JobDelete, job)
    }

    fn plain(&mut self, second: f64, kind: fn(Call) -> What, job: &str) -> &mut Self {
        let inv = Call { job: Some(job.to_owned()), ..Call::default() };
        self.call(second, kind, inv, Call { ph: Phase::Ok, ..Call::default() })
    }

    pub(crate) fn trigger(
        &mut self,
        second: f64,
        job: &str,
        run: &str,
        request_id: &str,
        ph: Phase,
    ) -> &mut Self {
        let inv =
            Call { job: Some(job.to_owned()), request_id: Some(request_id.to_owned()), ..Call::default() };
        let made = (ph == Phase::Ok).then(|| run.to_owned());
        self.call(second, What::JobTrigger, inv, Call { ph, run: made, ..Call::default() })
    }

    /// A run due at `due` that is granted, runs for `took` seconds and succeeds.
    pub(crate) fn success(&mut self, job: &str, due: f64, took: f64) -> &mut Self {
        let row = row(job, due);
        let run = row.run.clone();
        let end = due + 0.02 + took;
        self.granted(&run, 1, due + 0.01).code(&run, 1, due + 0.02, end).reported(
            &run,
            1,
            Outcome::Succeeded,
            end + 0.01,
        );
        self.row(RunRow {
            started_at: Some(at(due + 0.01)),
            ended_at: Some(at(end + 0.01)),
            attempts: 1,
            ..row
        })
    }

    pub(crate) fn granted(&mut self, run: &str, att: u32, second: f64) -> &mut Self {
        let session = format!("session {att}");
        self.event(second, What::Grant { run: run.to_owned(), att, session, at: at(second) })
    }

    pub(crate) fn code(&mut self, run: &str, att: u32, from: f64, to: f64) -> &mut Self {
        self.event(from, What::EffectStart { run: run.to_owned(), att });
        self.event(to, What::EffectEnd { run: run.to_owned(), att })
    }

    pub(crate) fn reported(&mut self, run: &str, att: u32, status: Outcome, second: f64) -> &mut Self {
        let report = What::Report { run: run.to_owned(), att, status, at: at(second), ph: Phase::Ok };
        self.event(second, report)
    }

    pub(crate) fn row(&mut self, row: RunRow) -> &mut Self {
        self.event(1_000.0, What::Run(row))
    }

    /// The history so far, ended at `quiesce`; what happened in order, what was exported last.
    pub(crate) fn told(&self, quiesce: f64) -> History {
        let mut events = self.events.clone();
        events.push(Event { ts: Tick((quiesce * 1e9) as i64), p: String::new(), what: What::Quiesce });
        events.sort_by_key(|event| event.ts);
        History { events }
    }

    #[track_caller]
    pub(crate) fn judge(&self) -> Verdict {
        check(&self.told(100.0), &Options::default()).expect("the history can be judged")
    }

    #[track_caller]
    pub(crate) fn holds(&self) -> Verdict {
        let verdict = self.judge();
        assert!(verdict.is_clean(), "{}", verdict.report(&self.told(100.0), 10));
        verdict
    }

    /// Exactly this clause is broken.
    #[track_caller]
    pub(crate) fn breaks(&self, clause: Clause) {
        let verdict = self.judge();
        let report = verdict.report(&self.told(100.0), 10);
        assert!(verdict.breaks(clause), "{clause:?} was not noticed\n{report}");
        assert!(
            verdict.violations.iter().all(|violation| violation.clause == clause),
            "more than {clause:?}\n{report}"
        );
        assert!(
            verdict.violations.iter().any(|violation| !violation.lines.is_empty()),
            "no witness\n{report}"
        );
    }
}

/// A scheduled run that succeeded at its first attempt, without its times.
pub(crate) fn row(job: &str, due: f64) -> RunRow {
    RunRow {
        run: format!("{job}@{due}"),
        job: job.to_owned(),
        origin: Origin::Schedule,
        due_at: at(due),
        shard: 0,
        state: State::Succeeded,
        reason: String::new(),
        ver: None,
        created_at: at(due - 5.0),
        started_at: None,
        ended_at: None,
        attempts: 0,
        tries_used: 0,
        permanent: false,
    }
}

/// `tick` is defined at 0.5, paused at `until` + 0.5, and every second between has its run.
pub(crate) fn ticking(until: u32) -> Story {
    ticking_without(until, &[])
}

/// The same, without the runs of these seconds.
pub(crate) fn ticking_without(until: u32, without: &[u32]) -> Story {
    let mut story = Story::new();
    story.put(0.5, "tick", every_second());
    for due in (1..=until).filter(|due| !without.contains(due)) {
        story.success("tick", f64::from(due), 0.1);
    }
    story.pause(f64::from(until) + 0.5, "tick");
    story
}

/// A skip of the instant, judged at once.
pub(crate) fn skipped(job: &str, due: f64, reason: &str) -> RunRow {
    RunRow {
        state: State::Skipped,
        reason: reason.to_owned(),
        ended_at: Some(at(due + 0.01)),
        ..row(job, due)
    }
}
