//! Namespaces and calendars.

use std::sync::Arc;

use punctual_scheduler_domain::calendar::{Calendar, CalendarSpec, Calendars};
use punctual_scheduler_domain::job::{JobSpec, JobState};
use punctual_scheduler_domain::name::{CalendarName, Namespace};
use punctual_scheduler_domain::retention::Retention;

use super::state::State;
use crate::store::{NamedCalendar, NamespaceRecord, StoreError};

pub(super) fn create_namespace(
    state: &mut State,
    namespace: &Namespace,
    retention: Retention,
) -> Result<(), StoreError> {
    if state.namespaces.contains_key(namespace) {
        return Err(StoreError::NamespaceExists(namespace.clone()));
    }
    let record = NamespaceRecord { name: namespace.clone(), created_at: state.now, retention };
    state.namespaces.insert(namespace.clone(), record);
    Ok(())
}

pub(super) fn delete_namespace(state: &mut State, namespace: &Namespace) -> Result<(), StoreError> {
    state.require(namespace)?;
    let count = |found: usize| u64::try_from(found).unwrap_or(u64::MAX);
    let of_jobs = state.jobs.values().filter(|job| job.namespace == *namespace);
    let jobs = count(of_jobs.clone().filter(|job| job.state != JobState::Deleted).count());
    let of_runs = state.live.all().filter(|run| state.lane_of(run.lane).namespace == *namespace);
    let runs = count(of_runs.count());
    let calendars = count(state.calendars.keys().filter(|(of, _)| of == namespace).count());
    if jobs + runs + calendars > 0 {
        return Err(StoreError::NamespaceNotEmpty { namespace: namespace.clone(), jobs, runs, calendars });
    }
    let gone: Vec<_> = of_jobs.map(|job| job.id).collect();
    for job in gone {
        state.jobs.remove(&job);
        state.events.retain(|event| event.job != job);
        state.missed.retain(|(of, _)| *of != job);
    }
    state.run_requests.retain(|(of, _), _| of != namespace);
    state.paused.retain(|path, _| path.namespace != *namespace);
    state.known_queues.retain(|path| path.namespace != *namespace);
    state.namespaces.remove(namespace);
    Ok(())
}

pub(super) fn put(
    state: &mut State,
    namespace: &Namespace,
    name: &CalendarName,
    spec: &CalendarSpec,
) -> Result<(), StoreError> {
    state.require(namespace)?;
    let now = state.now;
    let key = (namespace.clone(), name.clone());
    let calendar = state.calendars.entry(key).or_insert_with(|| NamedCalendar {
        namespace: namespace.clone(),
        name: name.clone(),
        spec: spec.clone(),
        created_at: now,
        updated_at: now,
    });
    (calendar.spec, calendar.updated_at) = (spec.clone(), now);
    Ok(())
}

pub(super) fn list(
    state: &State,
    namespace: &Namespace,
    name: Option<&CalendarName>,
) -> Result<Vec<NamedCalendar>, StoreError> {
    state.require(namespace)?;
    let of = state.calendars.values().filter(|calendar| calendar.namespace == *namespace);
    Ok(of.filter(|calendar| name.is_none_or(|name| calendar.name == *name)).cloned().collect())
}

/// Those of a namespace, ready for use.
pub(super) fn all(state: &State, namespace: &Namespace) -> Calendars {
    let mut calendars = Calendars::default();
    for calendar in state.calendars.values().filter(|calendar| calendar.namespace == *namespace) {
        if let Ok(compiled) = Calendar::compile(&calendar.spec) {
            calendars.insert(calendar.name.clone(), Arc::new(compiled));
        }
    }
    calendars
}

pub(super) fn delete(
    state: &mut State,
    namespace: &Namespace,
    name: &CalendarName,
) -> Result<bool, StoreError> {
    let names_it = |spec: &JobSpec| spec.schedule.iter().any(|schedule| schedule.exclude.contains(name));
    let mut jobs = state.jobs.values().filter(|job| job.namespace == *namespace);
    if jobs.any(|job| job.state != JobState::Deleted && names_it(&job.spec)) {
        return Err(StoreError::CalendarInUse { namespace: namespace.clone(), name: name.clone() });
    }
    Ok(state.calendars.remove(&(namespace.clone(), name.clone())).is_some())
}

/// Fails when a calendar that `spec` names is not there.
pub(super) fn require(state: &State, namespace: &Namespace, spec: &JobSpec) -> Result<(), StoreError> {
    let named: std::collections::BTreeSet<_> =
        spec.schedule.iter().flat_map(|schedule| schedule.exclude.iter()).collect();
    if named.iter().all(|name| state.calendars.contains_key(&(namespace.clone(), (*name).clone()))) {
        return Ok(());
    }
    let names = named.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Err(StoreError::NoSuchCalendar { namespace: namespace.clone(), names })
}
