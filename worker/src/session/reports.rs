//! The outcomes that schedulers have not stored yet.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use punctual_proto::v1::FinishAttemptRequest;
use tokio::time::Instant;

/// The most reports in one call. The protocol takes 1,000; batches of a few hundred are stored fastest.
const BATCH_REPORTS: usize = 500;

/// The most bytes in one call, below what a gRPC server takes in one message unless told otherwise (4 MiB). One
/// report alone stays below it too.
const BATCH_BYTES: usize = 3 << 20;

/// Beyond this many reports, or bytes in them, the worker takes nothing new until schedulers have caught up.
const MOST_REPORTS: usize = 2_000;
const MOST_BYTES: usize = 32 << 20;

/// Two calls at a time: the next one is built and sent while the last one is being stored.
const MOST_CALLS: usize = 2;

/// How soon a call that nobody answered is made again; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Reports that go, or went, in one call.
pub(crate) type Batch = Arc<Vec<FinishAttemptRequest>>;

/// Outcomes on their way to a scheduler, oldest first.
#[derive(Debug)]
pub(crate) struct Reports {
    waiting: VecDeque<FinishAttemptRequest>,
    calls: Vec<(u64, Batch)>,
    next_call: u64,
    /// Of those waiting and those in a call.
    count: usize,
    bytes: usize,
    pause: Duration,
    not_before: Option<Instant>,
}

impl Reports {
    pub(crate) fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            calls: Vec::new(),
            next_call: 0,
            count: 0,
            bytes: 0,
            pause: FIRST_PAUSE,
            not_before: None,
        }
    }

    /// Adds an outcome.
    pub(crate) fn add(&mut self, report: FinishAttemptRequest) {
        self.count += 1;
        self.bytes += report.encoded_len();
        self.waiting.push_back(report);
    }

    /// A call to make now, and its number; `None` when there is nothing to say, enough calls are under way, or it is
    /// too early to try again.
    pub(crate) fn next_call(&mut self, now: Instant) -> Option<(u64, Batch)> {
        let early = self.not_before.is_some_and(|at| now < at);
        if early || self.waiting.is_empty() || self.calls.len() >= MOST_CALLS {
            return None;
        }
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < BATCH_REPORTS
            && let Some(next) = self.waiting.front()
        {
            bytes += next.encoded_len();
            if bytes > BATCH_BYTES && !batch.is_empty() {
                break;
            }
            batch.extend(self.waiting.pop_front());
        }
        let call = (self.next_call, Arc::new(batch));
        self.next_call += 1;
        self.calls.push(call.clone());
        Some(call)
    }

    /// When to try again after a failure, if anything waits for that.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.not_before.filter(|_| !self.waiting.is_empty() && self.calls.len() < MOST_CALLS)
    }

    /// A call was answered; whatever the answer, its reports are done with.
    pub(crate) fn answered(&mut self, call: u64) {
        if let Some(batch) = self.end_call(call) {
            self.count -= batch.len();
            self.bytes -= batch.iter().map(Message::encoded_len).sum::<usize>();
        }
        self.pause = FIRST_PAUSE;
        self.not_before = None;
    }

    /// Nobody answered a call: its reports go first in the next one, after a pause.
    pub(crate) fn unanswered(&mut self, call: u64, now: Instant) {
        if let Some(batch) = self.end_call(call) {
            for report in Arc::unwrap_or_clone(batch).into_iter().rev() {
                self.waiting.push_front(report);
            }
        }
        self.not_before = Some(now + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    fn end_call(&mut self, call: u64) -> Option<Batch> {
        let index = self.calls.iter().position(|(number, _)| *number == call)?;
        Some(self.calls.swap_remove(index).1)
    }

    /// Whether so much waits that nothing new should be begun.
    pub(crate) fn is_backed_up(&self) -> bool {
        self.count >= MOST_REPORTS || self.bytes >= MOST_BYTES
    }

    /// Takes out everything that no answer has come for.
    pub(crate) fn take(&mut self) -> Vec<FinishAttemptRequest> {
        let calls = std::mem::take(&mut self.calls);
        let in_calls = calls.into_iter().flat_map(|(_, batch)| Arc::unwrap_or_clone(batch));
        in_calls.chain(self.waiting.drain(..)).collect()
    }
}

#[cfg(test)]
mod tests {
    use punctual_proto::v1::finish_attempt_request::{Outcome, Succeeded};

    use super::*;

    fn report(run: usize, result_bytes: usize) -> FinishAttemptRequest {
        FinishAttemptRequest {
            run_id: run.to_string(),
            attempt: 1,
            outcome: Some(Outcome::Succeeded(Succeeded { result: "x".repeat(result_bytes) })),
            ..Default::default()
        }
    }

    fn reports(count: usize, result_bytes: usize) -> Reports {
        let mut reports = Reports::new();
        for run in 0..count {
            reports.add(report(run, result_bytes));
        }
        reports
    }

    #[track_caller]
    fn check_batches(count: usize, result_bytes: usize, expect: &[usize]) {
        let mut reports = reports(count, result_bytes);
        let now = Instant::now();
        let sizes: Vec<_> = std::iter::from_fn(|| {
            let (call, batch) = reports.next_call(now)?;
            reports.answered(call);
            Some(batch.len())
        })
        .collect();
        assert_eq!(sizes, expect);
        assert_eq!((reports.count, reports.bytes), (0, 0));
    }

    #[test]
    fn a_call_is_bounded_in_reports_and_in_bytes() {
        check_batches(3, 10, &[3]);
        check_batches(1_100, 10, &[500, 500, 100]);
        check_batches(5, 1 << 20, &[2, 2, 1]);
        check_batches(2, 3 << 20, &[1, 1]); // one too large to share is sent alone
    }

    #[test]
    fn two_calls_are_under_way_at_most() {
        let mut reports = reports(1_600, 1);
        let now = Instant::now();
        let (first, _) = reports.next_call(now).unwrap();
        reports.next_call(now).unwrap();
        assert!(reports.next_call(now).is_none());
        reports.answered(first);
        assert!(reports.next_call(now).is_some());
    }

    #[test]
    fn an_unanswered_call_is_repeated_in_order_after_a_pause_that_grows() {
        let start = Instant::now();
        let mut reports = reports(501, 1);
        let (call, _) = reports.next_call(start).unwrap();
        reports.unanswered(call, start);
        assert!(reports.next_call(start).is_none());
        let due = reports.next_due().unwrap();
        assert_eq!(due - start, FIRST_PAUSE);

        let (call, batch) = reports.next_call(due).unwrap();
        assert_eq!((batch[0].run_id.as_str(), batch.len()), ("0", 500));
        reports.unanswered(call, due);
        assert_eq!(reports.next_due().unwrap() - due, FIRST_PAUSE * 2);

        let due = reports.next_due().unwrap();
        let (call, _) = reports.next_call(due).unwrap();
        reports.answered(call);
        assert_eq!(reports.next_due(), None, "an answer ends the pause");
        assert_eq!(reports.next_call(due).unwrap().1.len(), 1);
    }

    #[test]
    fn what_is_in_a_call_when_the_session_ends_is_not_forgotten() {
        let mut reports = reports(600, 1);
        reports.next_call(Instant::now()).unwrap();
        let runs: Vec<_> = reports.take().into_iter().map(|report| report.run_id).collect();
        assert_eq!(runs, (0..600).map(|run| run.to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn a_worker_that_cannot_report_takes_nothing_new() {
        assert!(!reports(1_999, 1).is_backed_up());
        assert!(reports(2_000, 1).is_backed_up());
        assert!(!reports(31, 1 << 20).is_backed_up());
        assert!(reports(32, 1 << 20).is_backed_up());
    }
}
