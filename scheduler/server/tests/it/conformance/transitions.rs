//! The table of a run's transitions, as the domain has it, driven through the store.

use std::time::Duration;

use punctual_scheduler::store::{
    AdmitRequest, CANCEL_MARGIN, Dispatch, Grant, JobChange, NodeId, Redispatch, Report, Start,
};
use punctual_scheduler_domain::attempt::{AttemptOutcome, AttemptReport};
use punctual_scheduler_domain::id::{AttemptNumber, RunId, SessionId, Shard};
use punctual_scheduler_domain::job::{JobSpec, Overlap};
use punctual_scheduler_domain::retry::{Backoff, RetryPolicy};
use punctual_scheduler_domain::run::cases::{TransitionCase, transition_cases};
use punctual_scheduler_domain::run::{RunEvent, RunFacts, RunState, Transition};
use punctual_scheduler_domain::timeouts::Timeouts;

use super::on_both_stores;
use super::world::{REPLICA, World, a_job, seconds};

on_both_stores!(every_transition_of_the_table_is_what_the_store_does);

/// With its margin over before a dispatch is given up.
const CANCEL_GRACE: Duration = Duration::from_secs(25);
/// Passes before the grace, and before a dispatch is given up.
const DEADLINE: Duration = Duration::from_secs(20);

async fn every_transition_of_the_table_is_what_the_store_does(world: World) {
    let mut driven = 0;
    for (number, case) in transition_cases().into_iter().enumerate() {
        if can_be_driven(&case) {
            drive(&world, number, &case).await;
            driven += 1;
        }
    }
    assert!(driven > 250, "only {driven} cases can be driven");
}

/// A store numbers attempts itself, judges a retry's overlap never, and blocks and kills for another run only, which
/// the policies' own scenarios have.
fn can_be_driven(case: &TransitionCase) -> bool {
    let from = case.from;
    from.state != RunState::Blocked
        && match case.event {
            RunEvent::Blocked | RunEvent::Unblocked | RunEvent::Killed => false,
            RunEvent::Skipped => from == RunFacts::NEW,
            RunEvent::AttemptStarted { attempt, .. } => attempt == AttemptNumber::after(from.attempt),
            RunEvent::CancelGraceOver { attempt } => from.attempt.is_none_or(|current| current == attempt),
            _ => true,
        }
}

/// One run of a job of its own, on its way to where the case begins.
struct Case<'a> {
    world: &'a World,
    name: String,
    run: RunId,
    /// The last dispatch goes to the second node, all before it to the first.
    nodes: [NodeId; 2],
    session: SessionId,
}

async fn drive(world: &World, number: usize, case: &TransitionCase) {
    let subject = Case::begin(world, number, case).await;
    let before = world.run(subject.run).await;
    assert_eq!(before.state, case.from.state, "{}: the case begins elsewhere", case.name);
    assert_eq!(before.attempts, case.from.attempt.map_or(0, AttemptNumber::get), "{}", case.name);
    subject.happens(case.from, case.event).await;
    let after = world.run(subject.run).await;
    match case.to {
        Transition::To(state) => assert_eq!(after.state, state, "{}", case.name),
        Transition::CancelPending => {
            assert_eq!((after.state, after.cancel_requested), (RunState::Running, true), "{}", case.name);
        }
        Transition::Stale => assert_eq!(after, before, "{}", case.name),
    }
    // Whatever of it waits is not to be admitted in the next case.
    world.change(&subject.name, JobChange::Delete).await.unwrap();
}

impl<'a> Case<'a> {
    async fn begin(world: &'a World, number: usize, case: &TransitionCase) -> Self {
        let name = format!("job{number}");
        let starts_late = matches!(case.event, RunEvent::StartDeadlinePassed);
        let ends_late =
            case.from.state == RunState::Expired || matches!(case.event, RunEvent::CloseDeadlinePassed);
        let backoff = Backoff::Exponential { initial: seconds(0), factor: 1.0, cap: seconds(0) };
        let spec = JobSpec {
            overlap: Overlap::Skip,
            retry: RetryPolicy { max_tries: 1000, backoff, ..a_job().retry },
            timeouts: Timeouts {
                schedule_to_start: starts_late.then_some(DEADLINE),
                schedule_to_close: ends_late.then_some(DEADLINE),
                cancel_grace: CANCEL_GRACE,
                ..Timeouts::default()
            },
            ..a_job()
        };
        world.job(&name, spec).await;
        let nodes = [world.node("one:4150", "a").await, world.node("two:4150", "b").await];
        let session = world.worker(1).await;
        let run = RunId(uuid::Uuid::nil());
        let mut subject = Self { world, name, run, nodes, session };
        if case.from.state == RunState::Skipped || case.event == RunEvent::Skipped {
            world.trigger(&subject.name).await;
            subject.admit(nodes[0]).await;
        }
        subject.run = world.trigger(&subject.name).await;
        subject.reach(case.from).await;
        subject
    }

    async fn reach(&self, from: RunFacts) {
        match from.state {
            RunState::Scheduled if from.attempt.is_none() => {}
            RunState::Scheduled => {
                let grant = self.held().await;
                self.end(&grant, AttemptOutcome::Released, true).await;
            }
            RunState::Queued if from.attempt.is_none() => {
                let first = self.admit(self.nodes[0]).await.expect("it is due");
                let second = self.redispatch(first.dispatch_seq, self.nodes[0]).await.expect("it stands");
                self.redispatch(second.dispatch_seq, self.nodes[1]).await.expect("it stands");
            }
            RunState::Queued => {
                for _ in 0..2 {
                    let grant = self.start_first().await;
                    self.end(&grant, AttemptOutcome::Released, true).await;
                }
                self.admit(self.nodes[1]).await.expect("it is due");
            }
            RunState::Running => {
                self.held().await;
                if from.cancel_requested {
                    self.cancel().await;
                }
            }
            RunState::Succeeded => {
                let grant = self.held().await;
                self.end(&grant, AttemptOutcome::Succeeded, true).await;
            }
            RunState::Failed => {
                let grant = self.held().await;
                self.end(&grant, AttemptOutcome::Failed, false).await;
            }
            RunState::Cancelled => {
                let grant = self.held().await;
                self.cancel().await;
                self.end(&grant, AttemptOutcome::Cancelled, true).await;
            }
            RunState::Expired => {
                self.held().await;
                self.reap_after(DEADLINE).await;
            }
            RunState::Skipped => {
                self.admit(self.nodes[0]).await;
            }
            RunState::Blocked => unreachable!("no case begins there"),
        }
    }

    /// The second attempt, under the third dispatch.
    async fn held(&self) -> Grant {
        let first = self.start_first().await;
        self.end(&first, AttemptOutcome::Released, true).await;
        let second = self.admit(self.nodes[0]).await.expect("it is due");
        let third = self.redispatch(second.dispatch_seq, self.nodes[1]).await.expect("it stands");
        self.world.granted(self.session, &third).await
    }

    async fn start_first(&self) -> Grant {
        let dispatch = self.admit(self.nodes[0]).await.expect("it is due");
        self.world.granted(self.session, &dispatch).await
    }

    async fn happens(&self, from: RunFacts, event: RunEvent) {
        match event {
            RunEvent::Admitted | RunEvent::Skipped => {
                self.admit(self.nodes[1]).await;
            }
            RunEvent::Redispatched => {
                self.redispatch(from.dispatch_seq, self.nodes[0]).await;
            }
            RunEvent::DispatchLost { dispatch_seq } => {
                let lost = self.nodes[usize::from(dispatch_seq == from.dispatch_seq)];
                let shards: Vec<_> = Shard::all().collect();
                self.world.store.requeue_lost(&[lost], &shards, 10_000).await.unwrap();
            }
            RunEvent::AttemptStarted { dispatch_seq, .. } => {
                let other = self.world.worker(1).await;
                let start = Start { run: self.run, dispatch_seq };
                self.world.store.start_attempts(other, &[start]).await.unwrap();
            }
            RunEvent::AttemptEnded { attempt, outcome, retry } => {
                self.report(attempt, outcome, retry).await;
            }
            RunEvent::CancelRequested => self.cancel().await,
            RunEvent::CancelGraceOver { .. } => self.reap_after(CANCEL_GRACE + CANCEL_MARGIN).await,
            RunEvent::StartDeadlinePassed | RunEvent::CloseDeadlinePassed => self.reap_after(DEADLINE).await,
            RunEvent::Blocked | RunEvent::Unblocked | RunEvent::Killed => {
                unreachable!("no case is driven by it")
            }
        }
    }

    async fn admit(&self, node: NodeId) -> Option<Dispatch> {
        let shards: Vec<_> = Shard::all().collect();
        let lanes = self.world.store.due_lanes(&shards).await.unwrap();
        let ahead = Duration::ZERO;
        let request = AdmitRequest { publisher: REPLICA, shards, lanes, nodes: vec![node], ahead, limit: 10 };
        self.world.store.admit_due_runs(&request).await.unwrap().dispatches.pop()
    }

    async fn redispatch(&self, dispatch_seq: u32, node: NodeId) -> Option<Dispatch> {
        let runs = [Redispatch { run: self.run, dispatch_seq, node }];
        self.world.store.redispatch(REPLICA, &runs).await.unwrap().pop()
    }

    async fn end(&self, grant: &Grant, outcome: AttemptOutcome, retry: bool) {
        self.report(grant.attempt, outcome, retry).await;
    }

    async fn report(&self, attempt: AttemptNumber, outcome: AttemptOutcome, retry: bool) {
        let report = AttemptReport { non_retryable: !retry, ..AttemptReport::default() };
        let (session, run) = (self.session, self.run);
        self.world.report(Report { session, run, attempt, outcome, report }).await;
    }

    /// Refused when the run is final, which is what the case then expects.
    async fn cancel(&self) {
        let _ = self.world.store.cancel_run(self.run, "enough").await;
    }

    async fn reap_after(&self, wait: Duration) {
        self.world.advance(wait);
        while self.world.reap_runs().await > 0 {}
    }
}
