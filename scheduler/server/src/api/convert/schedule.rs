//! Schedules and what they give.

use chrono::{DateTime, SecondsFormat, Utc};
use punctual_proto::v1;
use punctual_scheduler_domain::after::AfterOn;
use punctual_scheduler_domain::name::{CalendarName, JobName, Namespace};
use punctual_scheduler_domain::schedule::{
    AtSpec, Dialect, DomDow, DstFold, DstGap, Occurrence, Schedule, ScheduleSpec, When,
};

use super::fields::{Fields, join};
use super::job::namespace_in;
use super::time::{duration, duration_to_proto, instant, timestamp_to_proto};
use crate::api::error::ApiError;

/// Schedules of one preview, as of one job.
const MAX_SCHEDULES: usize = 100;
/// Instants of a preview when nothing is said.
const DEFAULT_COUNT: u32 = 10;
/// The most instants of a preview.
const MAX_COUNT: u32 = 10_000;

/// A schedule in the field `at`. Whether it can be evaluated is the domain's to say.
pub(super) fn read_schedule(fields: &mut Fields, at: &str, schedule: &v1::Schedule) -> Option<ScheduleSpec> {
    use v1::schedule::When as Given;
    let phase = schedule.phase.as_ref().map(duration).transpose();
    let phase = fields.take(join(at, "phase"), phase)?;
    let when = match &schedule.when {
        Some(Given::Cron(expression)) => Some(When::Cron(expression.clone())),
        Some(Given::Every(every)) => fields
            .take(join(at, "every"), duration(every))
            .map(|every| When::Every { every, phase: phase.unwrap_or_default() }),
        Some(Given::At(point)) => fields.take(join(at, "at"), point.parse::<AtSpec>()).map(When::At),
        Some(Given::After(after)) => read_after(fields, &join(at, "after"), after),
        Some(Given::Delay(delay)) => fields.take(join(at, "delay"), duration(delay)).map(When::Delay),
        Some(Given::Rrule(lines)) => {
            Some(When::Rrule(fields.text(join(at, "rrule"), lines.clone(), 100_000)))
        }
        None => {
            fields.refuse(at, "needs one of `cron`, `every`, `at`, `delay`, `rrule` and `after`");
            None
        }
    };
    if phase.is_some() && !matches!(schedule.when, Some(Given::Every(_)) | None) {
        fields.refuse(join(at, "phase"), "only goes with `every`");
    }
    let start = optional_instant(fields, join(at, "start"), schedule.start.as_ref());
    let end = optional_instant(fields, join(at, "end"), schedule.end.as_ref());
    let dst_gap = match fields.choice(join(at, "dst_gap"), schedule.dst_gap)? {
        v1::DstGap::Unspecified | v1::DstGap::Shift => DstGap::Shift,
        v1::DstGap::Skip => DstGap::Skip,
    };
    let dst_fold = match fields.choice(join(at, "dst_fold"), schedule.dst_fold)? {
        v1::DstFold::Unspecified | v1::DstFold::First => DstFold::First,
        v1::DstFold::Last => DstFold::Last,
        v1::DstFold::Both => DstFold::Both,
    };
    let dialect = match fields.choice(join(at, "dialect"), schedule.dialect)? {
        v1::Dialect::Unspecified | v1::Dialect::Standard => Dialect::Standard,
        v1::Dialect::SecondsFirst => Dialect::SecondsFirst,
        v1::Dialect::YearLast => Dialect::YearLast,
        v1::Dialect::Quartz => Dialect::Quartz,
    };
    let dom_dow = match fields.choice(join(at, "dom_dow"), schedule.dom_dow)? {
        v1::DomDow::Unspecified | v1::DomDow::Or => DomDow::Or,
        v1::DomDow::And => DomDow::And,
    };
    let jitter = fields.take(join(at, "jitter"), schedule.jitter.as_ref().map(duration).transpose());
    let exclude = schedule.exclude.iter().enumerate();
    let exclude = exclude
        .filter_map(|(index, name)| {
            fields.take(join(at, &format!("exclude[{index}]")), CalendarName::new(name))
        })
        .collect();
    let zone = fields.text(join(at, "zone"), schedule.zone.clone(), 100);
    Some(ScheduleSpec {
        when: when?,
        zone,
        start,
        end,
        dst_gap,
        dst_fold,
        dialect,
        dom_dow,
        jitter: jitter?.unwrap_or_default(),
        max_count: (schedule.max_count > 0).then_some(schedule.max_count),
        exclude,
    })
}

fn read_after(fields: &mut Fields, at: &str, after: &v1::After) -> Option<When> {
    let named = after.jobs.iter().enumerate();
    let jobs: Vec<_> = named
        .filter_map(|(index, job)| fields.take(join(at, &format!("jobs[{index}]")), JobName::new(job)))
        .collect();
    let on = match fields.choice(join(at, "on"), after.on)? {
        v1::AfterOn::Unspecified | v1::AfterOn::Success => AfterOn::Success,
        v1::AfterOn::Failure => AfterOn::Failure,
        v1::AfterOn::Any => AfterOn::Any,
    };
    Some(When::After { jobs, on })
}

fn after_to_proto(jobs: &[JobName], on: AfterOn) -> v1::After {
    let on = match on {
        AfterOn::Success => v1::AfterOn::Success,
        AfterOn::Failure => v1::AfterOn::Failure,
        AfterOn::Any => v1::AfterOn::Any,
    };
    v1::After { jobs: jobs.iter().map(ToString::to_string).collect(), on: on.into() }
}

fn optional_instant(
    fields: &mut Fields,
    field: String,
    timestamp: Option<&prost_types::Timestamp>,
) -> Option<DateTime<Utc>> {
    fields.take(field, timestamp.map(instant).transpose()).flatten()
}

pub(super) fn schedule_to_proto(spec: &ScheduleSpec) -> v1::Schedule {
    use v1::schedule::When as Given;
    let (when, phase) = match &spec.when {
        When::Cron(expression) => (Given::Cron(expression.clone()), None),
        When::Every { every, phase } => {
            let phase = (!phase.is_zero()).then(|| duration_to_proto(*phase));
            (Given::Every(duration_to_proto(*every)), phase)
        }
        When::At(at) => (Given::At(at.to_string()), None),
        When::After { jobs, on } => (Given::After(after_to_proto(jobs, *on)), None),
        When::Delay(delay) => (Given::Delay(duration_to_proto(*delay)), None),
        When::Rrule(lines) => (Given::Rrule(lines.clone()), None),
    };
    let dst_gap = match spec.dst_gap {
        DstGap::Shift => v1::DstGap::Shift,
        DstGap::Skip => v1::DstGap::Skip,
    };
    let dst_fold = match spec.dst_fold {
        DstFold::First => v1::DstFold::First,
        DstFold::Last => v1::DstFold::Last,
        DstFold::Both => v1::DstFold::Both,
    };
    // Only cron has dialects, and hardly any expression needs one named.
    let dialect = match spec.dialect {
        Dialect::Standard => v1::Dialect::Unspecified,
        Dialect::SecondsFirst => v1::Dialect::SecondsFirst,
        Dialect::YearLast => v1::Dialect::YearLast,
        Dialect::Quartz => v1::Dialect::Quartz,
    };
    let dom_dow = match spec.dom_dow {
        DomDow::Or => v1::DomDow::Unspecified,
        DomDow::And => v1::DomDow::And,
    };
    v1::Schedule {
        when: Some(when),
        zone: spec.zone.clone(),
        start: spec.start.map(timestamp_to_proto),
        end: spec.end.map(timestamp_to_proto),
        phase,
        dst_gap: dst_gap.into(),
        dst_fold: dst_fold.into(),
        dialect: dialect.into(),
        dom_dow: dom_dow.into(),
        jitter: (!spec.jitter.is_zero()).then(|| duration_to_proto(spec.jitter)),
        max_count: spec.max_count.unwrap_or(0),
        exclude: spec.exclude.iter().map(ToString::to_string).collect(),
    }
}

/// What a preview is asked for.
#[derive(Debug)]
pub(in crate::api) struct Preview {
    /// Where the calendars are.
    pub(in crate::api) namespace: Namespace,
    pub(in crate::api) schedule: Vec<ScheduleSpec>,
    /// `None`: from now.
    pub(in crate::api) from: Option<DateTime<Utc>>,
    pub(in crate::api) until: Option<DateTime<Utc>>,
    pub(in crate::api) count: usize,
}

pub(in crate::api) fn read_preview(request: &v1::PreviewScheduleRequest) -> Result<Preview, ApiError> {
    let mut fields = Fields::new();
    let namespace = namespace_in(&mut fields, "namespace", &request.namespace);
    if request.schedule.is_empty() || request.schedule.len() > MAX_SCHEDULES {
        fields.refuse("schedule", format!("holds {}: expected 1 to {MAX_SCHEDULES}", request.schedule.len()));
    }
    let schedule = read_schedules(&mut fields, "schedule", &request.schedule);
    let from = optional_instant(&mut fields, "from".to_owned(), request.from.as_ref());
    let until = optional_instant(&mut fields, "until".to_owned(), request.until.as_ref());
    let count = match request.count {
        0 => DEFAULT_COUNT,
        count if count <= MAX_COUNT => count,
        count => {
            fields.refuse("count", format!("{count} is more than {MAX_COUNT}"));
            DEFAULT_COUNT
        }
    };
    if fields.is_clean() {
        for (index, spec) in schedule.iter().enumerate() {
            if let Err(error) = Schedule::compile(spec) {
                fields.refuse(format!("schedule[{index}].{}", error.field()), error);
            }
        }
    }
    let count = count as usize;
    fields.finish(namespace.map(|namespace| Preview { namespace, schedule, from, until, count }))
}

/// Every schedule that can be read.
pub(super) fn read_schedules(fields: &mut Fields, at: &str, schedules: &[v1::Schedule]) -> Vec<ScheduleSpec> {
    let given = schedules.iter().enumerate();
    given.filter_map(|(index, schedule)| read_schedule(fields, &format!("{at}[{index}]"), schedule)).collect()
}

pub(in crate::api) fn occurrence_to_proto(
    occurrence: Occurrence,
) -> v1::preview_schedule_response::Occurrence {
    v1::preview_schedule_response::Occurrence {
        at: Some(timestamp_to_proto(occurrence.at)),
        local: occurrence.local.to_rfc3339_opts(SecondsFormat::AutoSi, false),
        note: occurrence.note.unwrap_or_default(),
        excluded: occurrence.excluded,
    }
}
