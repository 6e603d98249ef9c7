//! The same port over HTTP/1.1, health, and what tools ask of a gRPC server.

use std::time::Duration;

use punctual_proto::v1;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::front::{Front, PATIENCE, a_job, create};

async fn call(front: &Front, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let method = method.parse().unwrap();
    let mut request = reqwest::Client::new().request(method, format!("{}{path}", front.url));
    if let Some(body) = body {
        request = request.json(&body);
    }
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn jobs_and_runs_can_be_handled_as_json(pool: PgPool) {
    let front = Front::start(&pool).await;
    let job =
        json!({ "name": "tick", "schedule": { "every": "1h" }, "kind": "nobody", "payload": { "n": 1 } });
    let (status, applied) = call(&front, "POST", "/v1/jobs", Some(job.clone())).await;
    assert_eq!((status, &applied["outcome"]), (200, &json!("created")));
    let (_, applied) = call(&front, "POST", "/v1/jobs", Some(job)).await;
    assert_eq!(applied["outcome"], "unchanged");
    let (status, read) = call(&front, "GET", "/v1/jobs/tick", None).await;
    assert_eq!((status, &read["payload"], &read["state"]), (200, &json!({ "n": 1 }), &json!("active")));
    let (_, listed) = call(&front, "GET", "/v1/jobs?page_size=10", None).await;
    assert_eq!(listed["jobs"][0]["name"], "tick");

    let (status, triggered) = call(&front, "POST", "/v1/jobs/tick:trigger", None).await;
    assert_eq!(status, 200);
    let id = triggered["run_id"].as_str().unwrap();
    let (_, run) = call(&front, "GET", &format!("/v1/runs/{id}"), None).await;
    assert_eq!((&run["job"], &run["state"]), (&json!("tick"), &json!("scheduled")));
    let (_, listed) = call(&front, "GET", "/v1/runs?job=tick&states=scheduled,queued", None).await;
    assert!(listed["runs"].as_array().unwrap().iter().any(|run| run["id"] == id), "{listed}");
    let (_, cancelled) =
        call(&front, "POST", &format!("/v1/runs/{id}:cancel"), Some(json!({ "reason": "no" }))).await;
    assert_eq!(cancelled["state"], "cancelled");
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn an_error_over_http_has_code_reason_and_fields(pool: PgPool) {
    let front = Front::start(&pool).await;
    let (status, error) = call(&front, "GET", "/v1/jobs/nothing", None).await;
    assert_eq!(status, 404);
    assert_eq!(
        error,
        json!({ "error": {
            "code": "NOT_FOUND",
            "reason": "JOB_NOT_FOUND",
            "message": "job nothing does not exist in namespace default",
        } })
    );
    let wrong = json!({ "name": "tick", "kind": "nobody", "schedule": { "cron": "0 9 * *" } });
    let (status, error) = call(&front, "POST", "/v1/jobs", Some(wrong)).await;
    assert_eq!((status, &error["error"]["fields"][0]["field"]), (400, &json!("job.schedule[0].cron")));
    let (status, error) = call(&front, "GET", "/v1/nothing", None).await;
    assert_eq!((status, &error["error"]["reason"]), (404, &json!("NO_SUCH_METHOD")));
    let (status, error) = call(&front, "POST", "/v1/jobs", Some(json!({ "nmae": "tick" }))).await;
    assert_eq!(status, 400);
    assert!(error["error"]["message"].as_str().unwrap().contains("nmae"), "{error}");
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn metrics_count_calls_by_method_and_code(pool: PgPool) {
    let front = Front::start(&pool).await;
    front.jobs().create_job(create(a_job("tick"))).await.unwrap();
    front.jobs().create_job(create(a_job("tick"))).await.unwrap_err();
    let metrics = reqwest::get(format!("{}/metrics", front.url)).await.unwrap().text().await.unwrap();
    for code in ["OK", "ALREADY_EXISTS"] {
        let series = format!(
            "punctual_rpc_seconds_count{{method=\"/punctual.v1.JobService/CreateJob\",code=\"{code}\"}} 1"
        );
        assert!(metrics.contains(&series), "{series} is not in\n{metrics}");
    }
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn metrics_show_what_waits_and_how_late_planning_is(pool: PgPool) {
    let front = Front::start(&pool).await;
    front.jobs().create_job(create(a_job("tick"))).await.unwrap();
    for _ in 0..2 {
        let trigger = v1::TriggerJobRequest { name: "tick".to_owned(), ..Default::default() };
        front.jobs().trigger_job(trigger).await.unwrap();
    }
    let backlog = "punctual_task_queue_backlog{namespace=\"default\",task_queue=\"default\"} 2";
    let shown = async {
        loop {
            let metrics = reqwest::get(format!("{}/metrics", front.url)).await.unwrap().text().await.unwrap();
            if metrics.contains(backlog) {
                break metrics;
            }
            tokio::task::yield_now().await;
        }
    };
    let metrics = timeout(PATIENCE, shown).await.expect("the backlog is shown");
    assert!(metrics.contains("punctual_schedule_lag_seconds 0"), "{metrics}");
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn reflection_lists_every_service_with_its_types(pool: PgPool) {
    let front = Front::start(&pool).await;
    let ask = |message_request| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message_request),
    };
    let asked = [
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol("punctual.v1.JobService".to_owned())),
    ];
    let mut client = ServerReflectionClient::new(front.channel());
    let answers = client.server_reflection_info(tokio_stream::iter(asked)).await.unwrap().into_inner();
    let answers: Vec<_> = timeout(PATIENCE, answers.collect::<Vec<_>>()).await.unwrap();
    let answers: Vec<_> =
        answers.into_iter().map(|answer| answer.unwrap().message_response.unwrap()).collect();
    let MessageResponse::ListServicesResponse(services) = &answers[0] else { panic!("{answers:?}") };
    let names: Vec<_> = services.service.iter().map(|service| service.name.as_str()).collect();
    for name in [
        "punctual.v1.CalendarService",
        "punctual.v1.JobService",
        "punctual.v1.NamespaceService",
        "punctual.v1.RunService",
        "punctual.v1.AuditService",
        "punctual.v1.WorkerService",
        "grpc.health.v1.Health",
    ] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    assert!(matches!(answers[1], MessageResponse::FileDescriptorResponse(_)), "{:?}", answers[1]);
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn without_a_queue_node_it_lives_and_answers_but_is_not_ready(pool: PgPool) {
    let front = Front::start(&pool).await;
    let (status, readiness) = call(&front, "GET", "/readyz", None).await;
    assert_eq!((status, &readiness["ready"]), (503, &json!(false)));
    assert!(readiness["not_ready"].get("queue_nodes").is_some(), "{readiness}");
    let mut health = HealthClient::new(front.channel());
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    let not_serving =
        async { while watch.message().await.unwrap().unwrap().status() != ServingStatus::NotServing {} };
    timeout(PATIENCE, not_serving).await.expect("gRPC's health says the same");
    drop(health);
    timeout(Duration::from_secs(8), front.stop())
        .await
        .expect("who watches health does not hold the stop up");
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn garbage_on_the_port_ends_that_connection_only(pool: PgPool) {
    let front = Front::start(&pool).await;
    let address = front.url.trim_start_matches("http://").to_owned();
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\ngarbage garbage",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        let mut answer = Vec::new();
        // A reset is as good an end as a close.
        let _end =
            timeout(Duration::from_secs(15), stream.read_to_end(&mut answer)).await.expect("it is closed");
    }
    front.jobs().create_job(create(a_job("tick"))).await.unwrap();
    front.stop().await;
}
