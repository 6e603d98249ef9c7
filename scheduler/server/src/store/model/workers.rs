//! Sessions of workers.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use punctual_scheduler_domain::attempt::{AttemptOutcome, AttemptReport};
use punctual_scheduler_domain::id::{AttemptNumber, RunId, SessionId};
use punctual_scheduler_domain::name::{Kind, Namespace, TaskQueue};
use punctual_scheduler_domain::run::RunState;

use super::finish::end_attempt;
use super::live::{LiveRun, span};
use super::state::State;
use crate::store::{Beat, BeatAnswer, Fleet, HeldAttempt, NewSession, Registered, WORKER_LEASE};

/// A session whose lease was not ended yet.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) name: String,
    namespace: Namespace,
    task_queue: TaskQueue,
    kinds: Vec<Kind>,
    places: u32,
    draining: bool,
    beat_at: DateTime<Utc>,
    pub(super) expires_at: DateTime<Utc>,
    pub(super) held: Vec<HeldAttempt>,
}

impl State {
    /// The session, if its lease has not run out.
    pub(super) fn live_session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(&id).filter(|session| session.expires_at > self.now)
    }

    /// Ends a session for good.
    pub(super) fn end_session(&mut self, id: SessionId) {
        if self.sessions.remove(&id).is_some() {
            self.ended_sessions.insert(id);
        }
    }

    fn running_of(&self, session: SessionId) -> impl Iterator<Item = &LiveRun> {
        self.live.in_state(RunState::Running).filter(move |run| run.session == Some(session))
    }
}

pub(super) fn register(state: &mut State, new: NewSession) -> Registered {
    let now = state.now;
    let expires_at = now + span(WORKER_LEASE);
    match state.sessions.get_mut(&new.session) {
        // One whose lease has run out is left for the reaper to end.
        Some(known) if known.expires_at <= now => Registered::SessionLost,
        Some(known) => {
            known.name = new.name;
            known.kinds = new.kinds;
            known.places = new.places;
            known.beat_at = now;
            known.expires_at = expires_at;
            Registered::Opened
        }
        None if state.ended_sessions.contains(&new.session) => Registered::SessionLost,
        None => {
            let session = Session {
                name: new.name,
                namespace: new.namespace,
                task_queue: new.task_queue,
                kinds: new.kinds,
                places: new.places,
                draining: false,
                beat_at: now,
                expires_at,
                held: Vec::new(),
            };
            state.sessions.insert(new.session, session);
            Registered::Opened
        }
    }
}

pub(super) fn unregister(state: &mut State, session: SessionId) {
    state.end_session(session);
    let held = state.running_of(session).filter_map(|run| Some((run.id, run.attempt?))).collect();
    release_all(state, held);
}

pub(super) fn heartbeat(state: &mut State, beat: &Beat) -> Option<BeatAnswer> {
    let now = state.now;
    let session = state.sessions.get_mut(&beat.session).filter(|session| session.expires_at > now)?;
    let previous = std::mem::replace(&mut session.held, beat.held.clone());
    let previous_beat_at = std::mem::replace(&mut session.beat_at, now);
    session.expires_at = now + span(WORKER_LEASE);
    session.draining |= beat.draining;
    let mut answer = BeatAnswer::default();
    let mut unlisted = Vec::new();
    let listed: BTreeSet<_> = beat.held.iter().chain(&previous).map(|held| held.run_id).collect();
    let mut current = BTreeSet::new();
    for run in state.running_of(beat.session) {
        let (Some(attempt), Some(started_at)) = (run.attempt, run.started_at) else { continue };
        current.insert((run.id, attempt.get()));
        // In neither of two lists, and granted a good while before the first of them: the grant never arrived.
        if !listed.contains(&run.id) {
            if started_at + TimeDelta::seconds(1) < previous_beat_at {
                unlisted.push((run.id, attempt));
            }
        } else if run.cancel_requested_at.is_some() {
            answer.cancel.push((run.id, attempt));
        }
    }
    answer.lost = beat
        .held
        .iter()
        .filter(|held| !current.contains(&(held.run_id, held.attempt)))
        .filter_map(|held| Some((held.run_id, AttemptNumber::new(held.attempt)?)))
        .collect();
    release_all(state, unlisted);
    Some(answer)
}

fn release_all(state: &mut State, attempts: Vec<(RunId, AttemptNumber)>) {
    for (run, attempt) in attempts {
        end_attempt(state, run, attempt, AttemptOutcome::Released, AttemptReport::default());
    }
}

pub(super) fn fleets(state: &State) -> Vec<Fleet> {
    let mut fleets: BTreeMap<(&Namespace, &TaskQueue), (u32, BTreeSet<&Kind>)> = BTreeMap::new();
    let alive = state.sessions.values().filter(|session| session.expires_at > state.now);
    for session in alive.filter(|session| !session.draining) {
        let (places, kinds) = fleets.entry((&session.namespace, &session.task_queue)).or_default();
        *places = places.saturating_add(session.places);
        kinds.extend(&session.kinds);
    }
    fleets
        .into_iter()
        .map(|((namespace, task_queue), (places, kinds))| Fleet {
            namespace: namespace.clone(),
            task_queue: task_queue.clone(),
            places,
            kinds: kinds.into_iter().cloned().collect(),
        })
        .collect()
}
