//! What was done to jobs, and why they did or did not run, as people read it.

use std::sync::{Arc, Mutex};

use prost_types::Timestamp;
use punctual_proto::v1::audit_service_server::{AuditService, AuditServiceServer};
use punctual_proto::v1::{self, InstantVerdict, Job, JobEvent, JobEventKind, JobState, JobVersion, RunState};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use crate::command::run;
use crate::fake::a_run;

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds: 1_796_115_600 + seconds, nanos: 0 })
}

/// A stand-in for a scheduler that serves until dropped, and says who asked for what.
struct Stand {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    _server: JoinSet<()>,
}

async fn stand() -> Stand {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let service = AuditServiceServer::new(Answers(Arc::clone(&asked)));
    let mut server = JoinSet::new();
    server.spawn(async move {
        let incoming = TcpListenerStream::new(listener);
        tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await.unwrap();
    });
    Stand { url, asked, _server: server }
}

struct Answers(Arc<Mutex<Vec<String>>>);

impl Answers {
    fn note<T: std::fmt::Debug>(&self, request: &Request<T>) {
        let actor = request.metadata().get("punctual-actor").map(|actor| actor.to_str().unwrap().to_owned());
        self.0.lock().unwrap().push(format!("{} by {actor:?}", std::any::type_name::<T>()));
    }
}

fn paused() -> JobEvent {
    JobEvent {
        at: at(-600),
        kind: JobEventKind::Paused.into(),
        actor: "ann".to_owned(),
        version: 2,
        note: "disk full".to_owned(),
        since: None,
    }
}

fn version(number: u32, author: &str) -> JobVersion {
    let cron = v1::schedule::When::Cron("0 9 * * *".to_owned());
    let schedule = vec![v1::Schedule { when: Some(cron), ..Default::default() }];
    let change = |field: &str, from: &str, to: &str| v1::FieldChange {
        field: field.to_owned(),
        from: from.to_owned(),
        to: to.to_owned(),
    };
    let changes = vec![change("retry.max_tries", "3", "5"), change("payload", "", "{\"a\":1}")];
    JobVersion {
        version: number,
        author: author.to_owned(),
        created_at: at(-3_600 + i64::from(number)),
        definition: Some(Job { schedule, overlap: v1::Overlap::Skip.into(), ..Default::default() }),
        changes: if number == 1 { Vec::new() } else { changes },
    }
}

#[tonic::async_trait]
impl AuditService for Answers {
    async fn list_job_versions(
        &self,
        request: Request<v1::ListJobVersionsRequest>,
    ) -> Result<Response<v1::ListJobVersionsResponse>, Status> {
        self.note(&request);
        let versions = vec![version(2, "bob"), version(1, "ann")];
        Ok(Response::new(v1::ListJobVersionsResponse { versions, ..Default::default() }))
    }

    async fn get_job_version(
        &self,
        request: Request<v1::GetJobVersionRequest>,
    ) -> Result<Response<JobVersion>, Status> {
        self.note(&request);
        Ok(Response::new(version(request.into_inner().version, "ann")))
    }

    async fn rollback_job(&self, request: Request<v1::RollbackJobRequest>) -> Result<Response<Job>, Status> {
        self.note(&request);
        let v1::RollbackJobRequest { name, version, request_id, .. } = request.into_inner();
        assert!(!request_id.is_empty());
        Ok(Response::new(Job { name, version: version + 2, ..Default::default() }))
    }

    async fn list_job_events(
        &self,
        request: Request<v1::ListJobEventsRequest>,
    ) -> Result<Response<v1::ListJobEventsResponse>, Status> {
        self.note(&request);
        let back = JobEvent {
            at: at(0),
            kind: JobEventKind::RolledBack.into(),
            actor: "bob".to_owned(),
            version: 3,
            note: "to version 1".to_owned(),
            since: None,
        };
        let events = vec![back, paused()];
        Ok(Response::new(v1::ListJobEventsResponse { events, ..Default::default() }))
    }

    /// Even seconds have a run, odd ones fall into a pause.
    async fn explain_instant(
        &self,
        request: Request<v1::ExplainInstantRequest>,
    ) -> Result<Response<v1::ExplainInstantResponse>, Status> {
        self.note(&request);
        let asked = request.into_inner().at;
        let has_run = asked.as_ref().is_some_and(|at| at.seconds % 2 == 0);
        let (verdict, because) = if has_run {
            (InstantVerdict::Run, "its run r1 succeeded after 1 attempt")
        } else {
            (InstantVerdict::Paused, "the job was paused by ann: disk full")
        };
        Ok(Response::new(v1::ExplainInstantResponse {
            at: asked,
            verdict: verdict.into(),
            because: because.to_owned(),
            version: Some(version(2, "bob")),
            state: if has_run { JobState::Active } else { JobState::Paused }.into(),
            state_by: (!has_run).then(paused),
            rules: vec![0],
            before: at(-86_400),
            after: at(86_400),
            runs: if has_run { vec![a_run("r1", RunState::Succeeded)] } else { Vec::new() },
            missed: None,
            next_due_at: None,
        }))
    }

    async fn reconcile_job(
        &self,
        request: Request<v1::ReconcileJobRequest>,
    ) -> Result<Response<v1::ReconcileJobResponse>, Status> {
        self.note(&request);
        let v1::ReconcileJobRequest { name, from, .. } = request.into_inner();
        let absent: Vec<_> = if name == "gap" { at(-60).into_iter().collect() } else { Vec::new() };
        Ok(Response::new(v1::ReconcileJobResponse {
            from: from.or(at(-3_600)),
            until: at(0),
            expected: 60,
            found: 60 - absent.len() as u64,
            absent,
            ..Default::default()
        }))
    }
}

#[tokio::test]
async fn versions_and_events_are_shown_and_a_rollback_says_what_it_made() {
    let stand = stand().await;
    let job = async |words: &[&str]| run(&[&["job", "--server", &stand.url], words].concat()).await;
    insta::assert_snapshot!(job(&["versions", "tick"]).await.out, @r#"
    VERSION  SINCE                 BY   CHANGES
    2        2026-12-01 08:00:02Z  bob  retry.max_tries: 3 → 5
                                        payload: {"a":1} is new
    1        2026-12-01 08:00:01Z  ann  (first)
    "#);
    insta::assert_snapshot!(job(&["audit", "tick"]).await.out, @r"
    AT                    EVENT        VERSION  BY   NOTE
    2026-12-01 09:00:00Z  rolled back  3        bob  to version 1
    2026-12-01 08:50:00Z  paused       2        ann  disk full
    ");
    let rolled_back = job(&["rollback", "tick", "--to", "1", "--actor", "cleo"]).await;
    assert_eq!(rolled_back.out, "tick is as in version 1 again: version 3\n");
    let last = stand.asked.lock().unwrap().last().cloned().unwrap();
    assert!(last.ends_with(r#"RollbackJobRequest by Some("cleo")"#), "{last}");
    assert_eq!(
        job(&["versions", "tick", "-o", "json"]).await.json()[0]["changes"][0]["field"],
        "retry.max_tries"
    );
}

#[tokio::test]
async fn an_instant_is_explained_to_people_and_to_programs() {
    let stand = stand().await;
    let explain = async |words: &[&str]| {
        run(&[&["job", "explain", "tick", "--server", &stand.url], words].concat()).await
    };
    insta::assert_snapshot!(explain(&["--at", "2026-12-01T09:00:01Z"]).await.out, @r"
    At:       2026-12-01 09:00:01Z
    Answer:   the job was paused by ann: disk full
    Version:  2 (since 2026-12-01 08:00:02Z, by bob)
    Job was:  paused (paused 2026-12-01 08:50:00Z by ann: disk full)
    Rule:     cron 0 9 * * *
    Before:   2026-11-30 09:00:00Z
    After:    2026-12-02 09:00:00Z
    Overlap:  skip
    ");
    let with_run = explain(&["--at", "2026-12-01T10:00:00+01:00"]).await.out;
    assert!(with_run.contains("its run r1 succeeded after 1 attempt"), "{with_run}");
    assert!(with_run.contains("Id:         r1"), "the run is shown: {with_run}");
    let object = explain(&["--at", "2026-12-01T09:00:01Z", "-o", "json"]).await.json();
    assert_eq!(object[0]["verdict"], "paused");
    let wrong = explain(&["--at", "yesterday"]).await;
    assert_eq!(
        (wrong.code, wrong.err.as_str()),
        (
            2,
            "error: --at: `yesterday` is not an instant; write one as 2026-12-01T09:00:00Z, or with an offset instead of Z\n"
        )
    );
}

#[tokio::test]
async fn a_reconciliation_fails_where_something_differs() {
    let stand = stand().await;
    let reconcile = async |name: &str| run(&["job", "reconcile", name, "--server", &stand.url]).await;
    let whole = reconcile("tick").await;
    assert_eq!(
        (whole.code, whole.out.as_str()),
        (0, "expected 60, found 60 from 2026-12-01 08:00:00Z to 2026-12-01 09:00:00Z\n")
    );
    let gap = reconcile("gap").await;
    assert_eq!(gap.code, 1);
    assert!(gap.out.ends_with("absent: 2026-12-01 08:59:00Z\n"), "{gap:?}");
}
