//! Calendars and namespaces.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use punctual_proto::v1;
use punctual_scheduler_domain::calendar::CalendarSpec;
use punctual_scheduler_domain::name::{CalendarName, Namespace};
use punctual_scheduler_domain::retention::Retention;

use super::fields::Fields;
use super::job::namespace_in;
use super::policy::{read_retention, retention_to_proto};
use super::time::timestamp_to_proto;
use crate::api::error::ApiError;
use crate::store::{NamedCalendar, NamespaceRecord};

/// Which calendar.
pub(in crate::api) fn read_calendar_key(
    namespace: &str,
    name: &str,
) -> Result<(Namespace, CalendarName), ApiError> {
    let mut fields = Fields::new();
    let namespace = namespace_in(&mut fields, "namespace", namespace);
    let name = fields.take("name", CalendarName::new(name));
    fields.finish(namespace.zip(name))
}

/// What is to be put into a calendar.
pub(in crate::api) fn read_calendar(request: &v1::PutCalendarRequest) -> Result<CalendarSpec, ApiError> {
    let mut fields = Fields::new();
    let spec = match (request.ical.is_empty(), request.days.is_empty()) {
        (false, true) => fields.take("ical", CalendarSpec::from_ical(&request.ical)),
        (true, false) => {
            let days: Option<BTreeSet<_>> = request
                .days
                .iter()
                .enumerate()
                .map(|(index, day)| {
                    let read = NaiveDate::parse_from_str(day, "%Y-%m-%d");
                    let read = read.map_err(|_| format!("`{day}` is no date such as 2026-12-25"));
                    fields.take(format!("days[{index}]"), read)
                })
                .collect();
            days.and_then(|days| fields.take("days", CalendarSpec::from_days(days)))
        }
        (_, _) => {
            fields.refuse("ical", "give either iCalendar text here, or `days`");
            None
        }
    };
    fields.finish(spec)
}

pub(in crate::api) fn calendar_to_proto(calendar: &NamedCalendar) -> v1::Calendar {
    let events = calendar.spec.events.iter().map(|event| v1::CalendarEvent {
        summary: event.summary.clone(),
        start: event.start.format("%Y-%m-%dT%H:%M:%S").to_string(),
        seconds: event.seconds,
        zone: event.zone.clone(),
        rule: event.rule.clone(),
    });
    v1::Calendar {
        namespace: calendar.namespace.to_string(),
        name: calendar.name.to_string(),
        days: calendar.spec.days.iter().map(ToString::to_string).collect(),
        events: events.collect(),
        created_at: Some(timestamp_to_proto(calendar.created_at)),
        updated_at: Some(timestamp_to_proto(calendar.updated_at)),
    }
}

/// A namespace to be made.
pub(in crate::api) fn read_new_namespace(
    namespace: Option<v1::Namespace>,
) -> Result<(Namespace, Retention), ApiError> {
    let namespace = namespace.unwrap_or_default();
    let mut fields = Fields::new();
    let name = fields.take("namespace.name", Namespace::new(&namespace.name));
    let retention = read_retention(&mut fields, "namespace.retention", namespace.retention.as_ref());
    fields.finish(name.zip(retention))
}

/// A namespace that is named without a default.
pub(in crate::api) fn read_namespace_name(name: &str) -> Result<Namespace, ApiError> {
    let mut fields = Fields::new();
    let name = fields.take("name", Namespace::new(name));
    fields.finish(name)
}

pub(in crate::api) fn namespace_to_proto(record: &NamespaceRecord) -> v1::Namespace {
    v1::Namespace {
        name: record.name.to_string(),
        retention: retention_to_proto(record.retention),
        created_at: Some(timestamp_to_proto(record.created_at)),
    }
}
