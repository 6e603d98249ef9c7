//! Job definitions for tests, and how the checker sees them.

use std::time::Duration;

use punctual_proto::v1::job::Task;
use punctual_proto::v1::{
    DstFold, DstGap, ExecTask, ExponentialBackoff, Job, Overlap, Retry, Schedule, retry, schedule,
};
use punctual_verify::spec::{Fold, Gap, JobSpec, OverlapSpec, ScheduleSpec};
use punctual_verify::time::DbTime;

/// A job that runs `argv` at every interval; retries quickly, and often enough for many kills.
pub fn exec_every(name: &str, every: Duration, argv: Vec<String>, overlap: Overlap) -> Job {
    Job { schedule: vec![every_schedule(every)], ..exec(name, argv, overlap) }
}

/// A job without a schedule.
pub fn exec(name: &str, argv: Vec<String>, overlap: Overlap) -> Job {
    Job {
        name: name.to_owned(),
        task: Some(Task::Exec(ExecTask { argv, ..ExecTask::default() })),
        overlap: overlap.into(),
        retry: Some(quick_retry(10)),
        ..Job::default()
    }
}

/// An interval.
pub fn every_schedule(every: Duration) -> Schedule {
    Schedule { when: Some(schedule::When::Every(duration(every))), ..Schedule::default() }
}

/// Tries again after 100 ms, then less than a second.
pub fn quick_retry(max_tries: u32) -> Retry {
    Retry {
        max_tries,
        backoff: Some(retry::Backoff::Exponential(ExponentialBackoff {
            initial: Some(duration(Duration::from_millis(100))),
            factor: 2.0,
            cap: Some(duration(Duration::from_secs(1))),
        })),
        ..Retry::default()
    }
}

/// As protobuf has it.
pub fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: duration.as_secs().cast_signed(),
        nanos: duration.subsec_nanos().cast_signed(),
    }
}

/// The parts of a definition that the checker judges by, in its own form.
pub fn checkers_view(job: &Job) -> JobSpec {
    let timeouts = job.timeouts.unwrap_or_default();
    JobSpec {
        schedule: job.schedule.iter().map(schedule_view).collect(),
        overlap: match job.overlap() {
            Overlap::Allow => OverlapSpec::Allow,
            Overlap::Skip | Overlap::Unspecified => OverlapSpec::Skip,
            Overlap::QueueOne | Overlap::QueueAll | Overlap::CancelRunning | Overlap::KillRunning => {
                unreachable!("the checker of histories knows allow and skip")
            }
        },
        max_tries: job.retry.as_ref().map(|retry| retry.max_tries).filter(|tries| *tries > 0),
        may_expire: timeouts.schedule_to_start.is_some() || timeouts.schedule_to_close.is_some(),
    }
}

fn schedule_view(schedule: &Schedule) -> ScheduleSpec {
    let interval = |duration: &prost_types::Duration| {
        format!("{}ms", duration.seconds * 1_000 + i64::from(duration.nanos) / 1_000_000)
    };
    let instant = |at: &prost_types::Timestamp| DbTime(at.seconds * 1_000_000 + i64::from(at.nanos) / 1_000);
    let mut view = ScheduleSpec {
        zone: Some(schedule.zone.clone()).filter(|zone| !zone.is_empty()),
        start: schedule.start.as_ref().map(instant),
        end: schedule.end.as_ref().map(instant),
        phase: schedule.phase.as_ref().map(interval),
        dst_gap: match schedule.dst_gap() {
            DstGap::Shift | DstGap::Unspecified => Gap::Shift,
            DstGap::Skip => Gap::Skip,
        },
        dst_fold: match schedule.dst_fold() {
            DstFold::First | DstFold::Unspecified => Fold::First,
            DstFold::Last => Fold::Last,
            DstFold::Both => Fold::Both,
        },
        ..ScheduleSpec::default()
    };
    match &schedule.when {
        Some(schedule::When::Cron(cron)) => view.cron = Some(cron.clone()),
        Some(schedule::When::Every(every)) => view.every = Some(interval(every)),
        Some(schedule::When::At(at)) => view.at = DbTime::parse(at),
        // The checker does not know these, and judges no job that has them.
        Some(schedule::When::Delay(_) | schedule::When::Rrule(_) | schedule::When::After(_)) | None => {}
    }
    view
}
