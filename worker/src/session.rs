//! One session: a lease from the schedulers, and everything that is done under it.

mod answers;
mod asks;
mod calls;
mod drain;
mod held;
mod lease;
mod loss;
mod places;
mod reports;

use std::sync::Arc;
use std::time::Duration;

use punctual_proto::v1;
use punctual_queue_client::consumer::Delivery;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

pub(crate) use lease::Lease;
pub(crate) use loss::Unreported;

use crate::attempt::{self, Verdict};
use crate::cancellation::CancelReason;
use crate::context::Context;
use crate::inbox::Inbox;
use crate::meters;
use crate::worker::{Site, WorkerError};
use asks::Asks;
use calls::Answer;
use drain::Drain;
use held::Held;
use places::Places;
use reports::Reports;

/// The most attempts asked for in one call. Payloads come with the answer, at up to 1 MiB each.
const BATCH_STARTS: usize = 200;

/// Two calls at a time: what has arrived while one is under way goes in the other, and all that comes meanwhile in
/// the next.
const MOST_START_CALLS: usize = 2;

/// How long a doorbell goes back for when another worker must answer it.
const NOT_MINE: Duration = Duration::from_secs(1);

/// How long a later doorbell of a run goes back for while this worker is still busy with an earlier one.
const STILL_BUSY: Duration = Duration::from_millis(100);

const DEFAULT_START_TO_CLOSE: Duration = Duration::from_secs(3_600);
const DEFAULT_CANCEL_GRACE: Duration = Duration::from_secs(10);

/// How a session ended.
#[derive(Debug)]
pub(crate) enum SessionEnd {
    /// On shutdown, in order.
    Drained,
    /// It is not ours any more. Every handler has been stopped.
    Lost(Unreported),
}

/// A session under way. Dropping it stops every handler at its next await point.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    site: Arc<Site>,
    id: String,
    lease: Lease,
    places: Places,
    asks: Asks<Delivery>,
    held: Held,
    reports: Reports,
    attempts: JoinSet<Done>,
    calls: JoinSet<Answer>,
    start_calls: usize,
    beating: bool,
    drain: Option<Drain>,
    lost: Option<&'static str>,
    ready: &'a watch::Sender<bool>,
}

/// How an attempt ended.
#[derive(Debug)]
struct Done {
    run: String,
    attempt: u32,
    verdict: Verdict,
}

impl<'a> Session<'a> {
    /// A session that a scheduler has just granted. `ready` learns of the first queue node.
    pub(crate) fn new(site: Arc<Site>, id: String, lease: Lease, ready: &'a watch::Sender<bool>) -> Self {
        Self {
            places: Places::new(site.places),
            site,
            id,
            lease,
            asks: Asks::new(),
            held: Held::default(),
            reports: Reports::new(),
            attempts: JoinSet::new(),
            calls: JoinSet::new(),
            start_calls: 0,
            beating: false,
            drain: None,
            lost: None,
            ready,
        }
    }

    /// Works until `shutdown` is through, or the session is lost.
    pub(crate) async fn run(
        &mut self,
        inbox: &mut Inbox,
        shutdown: &CancellationToken,
    ) -> Result<SessionEnd, WorkerError> {
        let mut connections = inbox.connections();
        loop {
            self.advance(inbox, Instant::now());
            if let Some(reason) = self.lost {
                return Ok(SessionEnd::Lost(self.stop(inbox, reason).await));
            }
            if self.drain.as_ref().is_some_and(|drain| self.is_done() || drain.is_over(Instant::now())) {
                self.close(inbox).await;
                return Ok(SessionEnd::Drained);
            }
            let wake_at = self.next_timer();
            tokio::select! {
                message = inbox.recv() => match message {
                    Some(message) => self.on_message(message, inbox, Instant::now()),
                    None => return Err(WorkerError::QueueClosed),
                },
                Some(done) = self.attempts.join_next() => self.on_done(done),
                Some(answer) = self.calls.join_next() => self.on_answer(answer, inbox, Instant::now()),
                Ok(()) = connections.changed() => {}
                () = tokio::time::sleep_until(wake_at) => {}
                () = shutdown.cancelled(), if self.drain.is_none() => self.start_draining(inbox, Instant::now()),
            }
            self.take_what_is_there(inbox);
        }
    }

    /// Handles what else has happened, so that it goes out together.
    fn take_what_is_there(&mut self, inbox: &mut Inbox) {
        let now = Instant::now();
        while let Some(done) = self.attempts.try_join_next() {
            self.on_done(done);
        }
        while let Some(answer) = self.calls.try_join_next() {
            self.on_answer(answer, inbox, now);
        }
        // Bounded: a queue that never runs dry must not keep the rest waiting.
        for _ in 0..BATCH_STARTS {
            let Some(message) = inbox.try_recv() else { break };
            self.on_message(message, inbox, now);
        }
    }

    /// Does whatever has become due or possible.
    fn advance(&mut self, inbox: &Inbox, now: Instant) {
        if now >= self.lease.stop_at() {
            self.lost.get_or_insert("no scheduler has answered a heartbeat for almost a whole lease");
        }
        if self.lost.is_some() {
            return;
        }
        if let Some(drain) = &mut self.drain
            && drain.must_cancel(now)
        {
            self.held.cancel_all(CancelReason::Shutdown);
        }
        self.say_ready(inbox);
        while self.start_calls < MOST_START_CALLS {
            let batch = self.asks.next_batch(BATCH_STARTS, now);
            if batch.is_empty() {
                break;
            }
            self.start_calls += 1;
            self.calls.spawn(calls::start(Arc::clone(&self.site), self.id.clone(), batch));
        }
        while let Some((call, batch)) = self.reports.next_call(now) {
            self.calls.spawn(calls::report(Arc::clone(&self.site), self.id.clone(), call, batch));
        }
        let untold = self.drain.as_ref().is_some_and(|drain| !drain.told);
        if !self.beating && (untold || now >= self.lease.next_beat()) {
            self.beat(now);
        }
    }

    /// Tells the nodes how much may come.
    fn say_ready(&mut self, inbox: &Inbox) {
        let connections = *inbox.connections().borrow();
        if connections > 0 {
            self.ready.send_if_modified(|ready| !std::mem::replace(ready, true));
        }
        self.site.health.set_ready("queue", connections > 0, "no queue node is connected");
        self.places.set_open(self.drain.is_none() && !self.reports.is_backed_up());
        if let Some(count) = self.places.ready(connections) {
            inbox.set_ready(count);
        }
        meters::places(self.site.places, self.places.free());
    }

    fn next_timer(&self) -> Instant {
        let mut next = self.lease.stop_at();
        if !self.beating {
            next = next.min(self.lease.next_beat());
        }
        if self.start_calls < MOST_START_CALLS {
            next = next.min(self.asks.next_due().unwrap_or(next));
        }
        next = next.min(self.reports.next_due().unwrap_or(next));
        next.min(self.drain.as_ref().map_or(next, Drain::next_step))
    }

    fn beat(&mut self, now: Instant) {
        let asked = self.asks.runs().map(|run| v1::HeldAttempt { run_id: run.clone(), ..Default::default() });
        let request = v1::HeartbeatRequest {
            session: self.id.clone(),
            attempts: self.held.list().chain(asked).collect(),
            draining: self.drain.is_some(),
        };
        self.lease.beat_sent(now);
        self.beating = true;
        if let Some(drain) = &mut self.drain {
            drain.told = true;
        }
        self.calls.spawn(calls::beat(Arc::clone(&self.site), request, now));
    }

    fn on_message(&mut self, message: Delivery, inbox: &Inbox, now: Instant) {
        let doorbell = match v1::Doorbell::from_json(&message.message().body) {
            Ok(doorbell) => doorbell,
            Err(error) => {
                tracing::warn!(%error, node.address = %message.node(), "dropped a message that is no doorbell");
                meters::doorbell("garbage");
                return message.finish();
            }
        };
        if self.site.handlers.get(&doorbell.kind).is_none() {
            meters::doorbell("no_handler");
            return message.requeue(NOT_MINE);
        }
        let busy_with = self.held.dispatch(&doorbell.run_id).or(self.asks.dispatch(&doorbell.run_id));
        match busy_with {
            Some(dispatch) if doorbell.dispatch <= dispatch => {
                meters::doorbell("duplicate");
                return message.finish();
            }
            Some(_) => {
                meters::doorbell("busy");
                return message.requeue(STILL_BUSY);
            }
            None => {}
        }
        if !self.places.take() {
            meters::doorbell("no_place");
            return message.requeue(Duration::ZERO);
        }
        self.asks.add(doorbell, message, now);
        if self.places.free() == 0 {
            // Before any FIN or REQ, which would let the next message through.
            self.say_ready(inbox);
        }
    }

    fn on_done(&mut self, done: Result<Done, JoinError>) {
        let Done { run, attempt, verdict } = match done {
            Ok(done) => done,
            Err(error) => {
                // Handlers' panics are caught; what is aborted is aborted by us, when a session is over.
                if !error.is_cancelled() {
                    tracing::error!(%error, "an attempt's task broke, its lease ends with the session");
                }
                return self.places.end();
            }
        };
        // Freed now, not when the outcome is stored: a place stands for work, and the store's time would halve what
        // short jobs get done. `Reports::is_backed_up` keeps the two from drifting apart.
        self.places.end();
        meters::ended(verdict.name());
        if !self.held.ended(&run, attempt) {
            return;
        }
        match verdict {
            Verdict::Released => self.release(run, attempt),
            Verdict::Dropped => self.held.remove(&run, attempt),
            Verdict::Succeeded { .. } | Verdict::Failed(_) | Verdict::Cancelled { .. } => {
                if let Some(report) = verdict.report(run, attempt) {
                    self.reports.add(report);
                }
            }
        }
    }

    fn release(&mut self, run_id: String, attempt: u32) {
        let request = v1::ReleaseAttemptRequest { session: self.id.clone(), run_id, attempt, delay: None };
        self.calls.spawn(calls::release(Arc::clone(&self.site), request));
    }

    /// Starts the handler of an attempt that is ours now. While draining, and for a kind without a handler, it is
    /// given back.
    ///
    /// `asked` is when whoever granted it was asked, and what is left of its time counts from there: it is over here
    /// before it is over for the schedulers.
    fn execute(&mut self, granted: v1::Granted, dispatch: u32, asked: Instant) {
        let duration = |from: Option<prost_types::Duration>| from.and_then(|from| from.try_into().ok());
        let start_to_close = duration(granted.start_to_close).unwrap_or(DEFAULT_START_TO_CLOSE);
        let cancel_grace = duration(granted.cancel_grace).unwrap_or(DEFAULT_CANCEL_GRACE);
        let context = Context::new(granted, asked, start_to_close);
        let (run, attempt) = (context.run_id().to_owned(), context.attempt());
        self.held.add(context.clone(), dispatch);
        if self.drain.is_some() || self.site.handlers.get(context.kind()).is_none() {
            let verdict = Verdict::Released;
            return self.on_done(Ok(Done { run, attempt, verdict }));
        }
        let span =
            tracing::info_span!("attempt", run.id = run, attempt.number = attempt, job.name = context.job());
        let site = Arc::clone(&self.site);
        let work = async move {
            let work = async {
                match site.handlers.get(context.kind()) {
                    Some(handler) => handler(context.clone()).await,
                    None => Err(crate::HandlerError::new("the handler is gone")), // looked up above
                }
            };
            let verdict = attempt::execute(work, &context, cancel_grace).await;
            tracing::debug!(outcome = verdict.name(), "attempt ended");
            Done { run, attempt, verdict }
        };
        self.attempts.spawn(work.instrument(span));
    }
}
