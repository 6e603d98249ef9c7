//! The table of a run's transitions, as data: what [`RunFacts::on`] must answer, written down a second time.
//!
//! The tests of this crate drive it through the function, those of the store through the guarded statements, so that
//! the two cannot drift apart.

use super::RunState::{Blocked, Cancelled, Expired, Failed, Queued, Running, Scheduled, Skipped, Succeeded};
use super::Transition::{CancelPending, To};
use super::{RunEvent, RunFacts, RunState, Transition};
use crate::attempt::AttemptOutcome as End;
use crate::id::AttemptNumber;

/// One run, one event, and what must come of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransitionCase {
    /// Says which it is, for people.
    pub name: String,
    /// The run before.
    pub from: RunFacts,
    /// What happens to it.
    pub event: RunEvent,
    /// What must come of it.
    pub to: Transition,
}

/// Every run of the table with every event, over four hundred pairs. A run that was never
/// queued has no attempt and `dispatch_seq` 0; one that was has 3, and attempt 2 if it ever started.
pub fn transition_cases() -> Vec<TransitionCase> {
    let mut cases = Vec::new();
    for from in From::ALL {
        for what in What::all() {
            let facts = from.facts();
            // What the table does not name changes nothing.
            let to = MOVES
                .iter()
                .find(|(named, froms, _)| *named == what && froms.contains(&from))
                .map_or(Transition::Stale, |(_, _, to)| *to);
            let name = format!("{from:?} on {what:?}");
            cases.push(TransitionCase { name, from: facts, event: what.event(facts), to });
        }
    }
    cases
}

/// A run to start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    New,
    Retry,
    BlockedNew,
    BlockedRetry,
    QueuedFirst,
    QueuedAgain,
    Held,
    HeldAndCancelled,
    Final(RunState),
}

/// Something that happens, in relation to where the run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Admitted,
    Skipped,
    Blocked,
    Unblocked,
    Redispatched,
    DispatchLost,
    PastDispatchLost,
    Started,
    StartedByPastDispatch,
    StartedUnderWrongNumber,
    Ended(End),
    /// The same, and no further try is left.
    EndedForGood(End),
    PastEnded(End),
    CancelRequested,
    Killed,
    CancelGraceOver,
    PastCancelGraceOver,
    StartDeadlinePassed,
    CloseDeadlinePassed,
}

/// Everything that changes something.
const MOVES: &[(What, &[From], Transition)] = &[
    (What::Admitted, &[From::New, From::Retry], To(Queued)),
    (What::Skipped, &[From::New], To(Skipped)),
    (What::Blocked, &[From::New, From::Retry], To(Blocked)),
    (What::Unblocked, &[From::BlockedNew, From::BlockedRetry], To(Scheduled)),
    (What::Redispatched, &[From::QueuedFirst, From::QueuedAgain], To(Queued)),
    (What::DispatchLost, &[From::QueuedFirst, From::QueuedAgain], To(Scheduled)),
    (What::Started, &[From::QueuedFirst, From::QueuedAgain], To(Running)),
    (What::Ended(End::Succeeded), &[From::Held, From::HeldAndCancelled], To(Succeeded)),
    (What::Ended(End::Failed), &[From::Held], To(Scheduled)),
    (What::Ended(End::TimedOut), &[From::Held], To(Scheduled)),
    (What::Ended(End::Lost), &[From::Held], To(Scheduled)),
    (What::Ended(End::Released), &[From::Held], To(Scheduled)),
    (What::Ended(End::Cancelled), &[From::Held], To(Scheduled)),
    (What::Ended(End::Failed), &[From::HeldAndCancelled], To(Cancelled)),
    (What::Ended(End::TimedOut), &[From::HeldAndCancelled], To(Cancelled)),
    (What::Ended(End::Lost), &[From::HeldAndCancelled], To(Cancelled)),
    (What::Ended(End::Released), &[From::HeldAndCancelled], To(Cancelled)),
    (What::Ended(End::Cancelled), &[From::HeldAndCancelled], To(Cancelled)),
    (What::EndedForGood(End::Succeeded), &[From::Held, From::HeldAndCancelled], To(Succeeded)),
    (What::EndedForGood(End::Failed), &[From::Held], To(Failed)),
    (What::EndedForGood(End::TimedOut), &[From::Held], To(Failed)),
    (What::EndedForGood(End::Lost), &[From::Held], To(Failed)),
    // These two use no try, so it does not matter that none is left.
    (What::EndedForGood(End::Released), &[From::Held], To(Scheduled)),
    (What::EndedForGood(End::Cancelled), &[From::Held], To(Scheduled)),
    (What::EndedForGood(End::Failed), &[From::HeldAndCancelled], To(Cancelled)),
    (What::EndedForGood(End::TimedOut), &[From::HeldAndCancelled], To(Cancelled)),
    (What::EndedForGood(End::Lost), &[From::HeldAndCancelled], To(Cancelled)),
    (What::EndedForGood(End::Released), &[From::HeldAndCancelled], To(Cancelled)),
    (What::EndedForGood(End::Cancelled), &[From::HeldAndCancelled], To(Cancelled)),
    (What::CancelRequested, NOT_STARTED, To(Cancelled)),
    (What::CancelRequested, &[From::Held, From::HeldAndCancelled], CancelPending),
    (What::Killed, NOT_STARTED, To(Cancelled)),
    (What::Killed, &[From::Held, From::HeldAndCancelled], To(Cancelled)),
    (What::CancelGraceOver, &[From::HeldAndCancelled], To(Cancelled)),
    (What::StartDeadlinePassed, &[From::New, From::BlockedNew, From::QueuedFirst], To(Expired)),
    (What::CloseDeadlinePassed, NOT_STARTED, To(Expired)),
    (What::CloseDeadlinePassed, &[From::Held], To(Expired)),
    (What::CloseDeadlinePassed, &[From::HeldAndCancelled], To(Cancelled)),
];

const NOT_STARTED: &[From] =
    &[From::New, From::Retry, From::BlockedNew, From::BlockedRetry, From::QueuedFirst, From::QueuedAgain];

impl From {
    const ALL: [Self; 13] = [
        Self::New,
        Self::Retry,
        Self::BlockedNew,
        Self::BlockedRetry,
        Self::QueuedFirst,
        Self::QueuedAgain,
        Self::Held,
        Self::HeldAndCancelled,
        Self::Final(Succeeded),
        Self::Final(Failed),
        Self::Final(Cancelled),
        Self::Final(Expired),
        Self::Final(Skipped),
    ];

    fn facts(self) -> RunFacts {
        let begun = |state, cancel_requested| RunFacts {
            state,
            attempt: AttemptNumber::new(2),
            dispatch_seq: 3,
            cancel_requested,
        };
        match self {
            Self::New => RunFacts::NEW,
            Self::Retry => begun(Scheduled, false),
            Self::BlockedNew => RunFacts { state: Blocked, ..RunFacts::NEW },
            Self::BlockedRetry => begun(Blocked, false),
            Self::QueuedFirst => RunFacts { state: Queued, dispatch_seq: 3, ..RunFacts::NEW },
            Self::QueuedAgain => begun(Queued, false),
            Self::Held => begun(Running, false),
            Self::HeldAndCancelled => begun(Running, true),
            Self::Final(Skipped) => RunFacts { state: Skipped, ..RunFacts::NEW },
            Self::Final(state) => begun(state, false),
        }
    }
}

impl What {
    fn all() -> impl Iterator<Item = Self> {
        let plain = [
            Self::Admitted,
            Self::Skipped,
            Self::Blocked,
            Self::Unblocked,
            Self::Redispatched,
            Self::DispatchLost,
            Self::PastDispatchLost,
            Self::Started,
            Self::StartedByPastDispatch,
            Self::StartedUnderWrongNumber,
            Self::CancelRequested,
            Self::Killed,
            Self::CancelGraceOver,
            Self::PastCancelGraceOver,
            Self::StartDeadlinePassed,
            Self::CloseDeadlinePassed,
        ];
        let ends = End::ALL.iter().flat_map(|&outcome| {
            [Self::Ended(outcome), Self::EndedForGood(outcome), Self::PastEnded(outcome)]
        });
        plain.into_iter().chain(ends)
    }

    fn event(self, facts: RunFacts) -> RunEvent {
        let dispatch_seq = facts.dispatch_seq;
        let past_dispatch = dispatch_seq.saturating_sub(1);
        let held = facts.attempt.unwrap_or(AttemptNumber::FIRST);
        let next = AttemptNumber::after(facts.attempt);
        // Attempt 1 is the past one of a run that has had two; a run that has had none is told of one it never had.
        let past = AttemptNumber::FIRST;
        match self {
            Self::Admitted => RunEvent::Admitted,
            Self::Skipped => RunEvent::Skipped,
            Self::Blocked => RunEvent::Blocked,
            Self::Unblocked => RunEvent::Unblocked,
            Self::Redispatched => RunEvent::Redispatched,
            Self::DispatchLost => RunEvent::DispatchLost { dispatch_seq },
            Self::PastDispatchLost => RunEvent::DispatchLost { dispatch_seq: past_dispatch },
            Self::Started => RunEvent::AttemptStarted { attempt: next, dispatch_seq },
            Self::StartedByPastDispatch => {
                RunEvent::AttemptStarted { attempt: next, dispatch_seq: past_dispatch }
            }
            Self::StartedUnderWrongNumber => RunEvent::AttemptStarted {
                attempt: facts.attempt.unwrap_or(AttemptNumber::after(Some(next))),
                dispatch_seq,
            },
            Self::Ended(outcome) => RunEvent::AttemptEnded { attempt: held, outcome, retry: true },
            Self::EndedForGood(outcome) => RunEvent::AttemptEnded { attempt: held, outcome, retry: false },
            Self::PastEnded(outcome) => RunEvent::AttemptEnded { attempt: past, outcome, retry: true },
            Self::CancelRequested => RunEvent::CancelRequested,
            Self::Killed => RunEvent::Killed,
            Self::CancelGraceOver => RunEvent::CancelGraceOver { attempt: held },
            Self::PastCancelGraceOver => RunEvent::CancelGraceOver { attempt: past },
            Self::StartDeadlinePassed => RunEvent::StartDeadlinePassed,
            Self::CloseDeadlinePassed => RunEvent::CloseDeadlinePassed,
        }
    }
}
