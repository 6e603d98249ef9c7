//! `/livez`, `/readyz` and `/metrics`.

use punctual_service::health::{self, Health};
use punctual_service::metrics;

use crate::server::Server;

async fn serve(health: &Health) -> Server {
    Server::start(health::router(health.clone(), metrics::install())).await
}

#[tokio::test]
async fn a_process_is_ready_when_every_condition_holds() {
    let health = Health::new();
    health.set_ready("database", false, "connecting");
    health.set_ready("queue", false, "no node");
    let server = serve(&health).await;

    let said = server.get("/readyz").await;
    assert!(said.starts_with("HTTP/1.1 503 "), "{said}");
    assert!(
        said.ends_with(r#"{"ready":false,"not_ready":{"database":"connecting","queue":"no node"}}"#),
        "{said}"
    );
    health.set_ready("database", true, "");
    let said = server.get("/readyz").await;
    assert!(said.ends_with(r#"{"ready":false,"not_ready":{"queue":"no node"}}"#), "{said}");
    health.set_ready("queue", true, "");
    let said = server.get("/readyz").await;
    assert!(
        said.starts_with("HTTP/1.1 200 ") && said.ends_with(r#"{"ready":true,"not_ready":{}}"#),
        "{said}"
    );
    health.set_ready("database", false, "gone");
    assert!(server.get("/readyz").await.starts_with("HTTP/1.1 503 "));
}

#[tokio::test]
async fn a_process_that_is_not_ready_lives() {
    let health = Health::new();
    health.set_ready("database", false, "connecting");
    let said = serve(&health).await.get("/livez").await;
    assert!(said.starts_with("HTTP/1.1 200 ") && said.ends_with("ok"), "{said}");
}

#[tokio::test]
async fn metrics_are_in_prometheus_text() {
    let server = serve(&Health::new()).await;
    ::metrics::counter!("punctual_test_requests_total", "kind" => "http").increment(3);
    let said = server.get("/metrics").await;
    assert!(said.contains("content-type: text/plain; version=0.0.4"), "{said}");
    assert!(said.contains("punctual_test_requests_total{kind=\"http\"} 3"), "{said}");
}
