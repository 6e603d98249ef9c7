//! What the node is set to, and changing it while it runs.

use punctual_queue_node::options::NodeOptions;
use punctual_service::log::{self, LogArgs, LogFormat};
use reqwest::Method;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tracing::level_filters::LevelFilter;

use crate::fixture::{Fixture, PATIENCE, Running};

const LOOKUPS: &str = "nsqlookupd_tcp_addresses";

async fn ask(
    node: &Running,
    method: Method,
    option: &str,
    body: impl Into<reqwest::Body>,
) -> (u16, String, String) {
    let url = format!("http://{}/config/{option}", node.http);
    let response = reqwest::Client::new().request(method, url).body(body).send().await.unwrap();
    let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    (response.status().as_u16(), kind.unwrap_or_default(), response.text().await.unwrap())
}

#[tokio::test]
async fn options_have_nsqds_names_and_forms() {
    const TEXT: &str = "text/plain; charset=utf-8";
    const JSON: &str = "application/json; charset=utf-8";
    let fixture = Fixture::new();
    let node = fixture.start().await;
    for (option, kind, value) in [
        ("log_prefix", TEXT, ""),
        ("http_address", TEXT, "127.0.0.1:0"),
        ("https_address", TEXT, "127.0.0.1:4152"),
        ("broadcast_address", TEXT, "127.0.0.1"),
        (LOOKUPS, JSON, "[]"),
        ("auth_http_addresses", JSON, "[]"),
        ("auth_http_request_method", TEXT, "get"),
        ("http_client_connect_timeout", JSON, "2000000000"),
        ("http_client_request_timeout", JSON, "5000000000"),
        ("topology_region", TEXT, ""),
        ("topology_zone", TEXT, ""),
        ("enable_experiment", JSON, "[]"),
        ("mem_queue_size", JSON, "10000"),
        ("max_bytes_per_file", JSON, "67108864"),
        ("sync_every", JSON, "1"),
        ("sync_timeout", JSON, "0"),
        ("queue_scan_selection_count", JSON, "0"),
        ("queue_scan_worker_pool_max", JSON, "0"),
        ("msg_timeout", JSON, "60000000000"),
        ("max_msg_timeout", JSON, "900000000000"),
        ("max_msg_size", JSON, "1048576"),
        ("max_body_size", JSON, "5242880"),
        ("max_req_timeout", JSON, "3600000000000"),
        ("max_defer_timeout", JSON, "3600000000000"),
        ("max_heartbeat_interval", JSON, "60000000000"),
        ("max_rdy_count", JSON, "2500"),
        ("max_output_buffer_size", JSON, "65536"),
        ("max_output_buffer_timeout", JSON, "30000000000"),
        ("min_output_buffer_timeout", JSON, "25000000"),
        ("output_buffer_timeout", JSON, "250000000"),
        ("max_channel_consumers", JSON, "0"),
        ("statsd_address", TEXT, ""),
        ("statsd_interval", JSON, "60000000000"),
        ("statsd_mem_stats", JSON, "true"),
        ("statsd_udp_packet_size", JSON, "508"),
        ("statsd_exclude_ephemeral", JSON, "false"),
        ("e2e_processing_latency_percentiles", JSON, "[]"),
        ("e2e_processing_latency_window_time", JSON, "600000000000"),
        ("tls_cert", TEXT, ""),
        ("tls_key", TEXT, ""),
        ("tls_root_ca_file", TEXT, ""),
        ("tls_client_auth_policy", TEXT, ""),
        ("tls_required", JSON, "0"),
        ("tls_min_version", JSON, "769"),
        ("deflate", JSON, "true"),
        ("max_deflate_level", JSON, "6"),
        ("snappy", JSON, "true"),
    ] {
        let expected = (200, kind.to_owned(), value.to_owned());
        assert_eq!(ask(&node, Method::GET, option, "").await, expected, "{option}");
    }
    let id: u64 = ask(&node, Method::GET, "id", "").await.2.parse().unwrap();
    assert!(id < 1024, "{id}");
    let prefix = format!("nsq.127_0_0_1_{}.", node.http.port());
    assert_eq!(ask(&node, Method::GET, "statsd_prefix", "").await.2, prefix);
    let data_path = fixture.data_path().display().to_string();
    assert_eq!(ask(&node, Method::GET, "data_path", "").await.2, data_path);
    let port = ask(&node, Method::GET, "broadcast_tcp_port", "").await.2;
    assert_eq!(port, node.tcp.port().to_string());
    node.stop().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_set_is_refused_as_nsqd_does() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    let error = |code: &str| format!(r#"{{"message":"{code}"}}"#);
    for (method, option, body, status, code) in [
        (Method::GET, "unknown", "", 400, "INVALID_OPTION"),
        (Method::PUT, "unknown", "1", 400, "INVALID_OPTION"),
        (Method::PUT, "max_msg_size", "1", 400, "INVALID_OPTION"),
        (Method::PUT, LOOKUPS, "", 413, "INVALID_VALUE"),
        (Method::PUT, LOOKUPS, "127.0.0.1:4160", 400, "INVALID_VALUE"),
        (Method::PUT, LOOKUPS, "[1]", 400, "INVALID_VALUE"),
        (Method::PUT, "log_level", "", 413, "INVALID_VALUE"),
        (Method::PUT, "log_level", "loud", 400, "INVALID_VALUE"),
        (Method::PUT, "log_level", "1", 400, "INVALID_VALUE"),
        (Method::PUT, LOOKUPS, r#"["no-port"]"#, 400, "INVALID_VALUE"),
        (Method::POST, LOOKUPS, "[]", 405, "METHOD_NOT_ALLOWED"),
        (Method::GET, "", "", 404, "NOT_FOUND"),
        (Method::GET, "a/b", "", 404, "NOT_FOUND"),
    ] {
        let (given, _, text) = ask(&node, method, option, body).await;
        assert_eq!((given, text), (status, error(code)), "{option} {body}");
    }
    let too_long = vec![b' '; NodeOptions::default().max_msg_size as usize + 1];
    assert_eq!(ask(&node, Method::PUT, LOOKUPS, too_long).await.0, 413);
    assert_eq!(ask(&node, Method::GET, LOOKUPS, "").await.2, "[]", "nothing was changed");
    node.stop().await.unwrap();
}

/// A lookup that takes connections and says nothing.
async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

async fn accept(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    let mut magic = [0; 4];
    timeout(PATIENCE, stream.read_exact(&mut magic)).await.unwrap().unwrap();
    assert_eq!(&magic, b"  V1");
    stream
}

#[tokio::test]
async fn lookups_can_be_changed_while_the_node_runs() {
    let (old, old_address) = listener().await;
    let (new, new_address) = listener().await;
    let fixture = Fixture::new();
    let options = NodeOptions { lookupd_tcp_addresses: vec![old_address.clone()], ..fixture.options() };
    let node = fixture.start_with(options).await;
    let mut old_stream = accept(&old).await;
    assert_eq!(ask(&node, Method::GET, LOOKUPS, "").await.2, format!(r#"["{old_address}"]"#));

    let only_new = format!(r#"["{new_address}"]"#);
    let (status, _, value) = ask(&node, Method::PUT, LOOKUPS, only_new.clone()).await;
    assert_eq!((status, value), (200, only_new));
    accept(&new).await;
    let mut rest = Vec::new();
    timeout(PATIENCE, old_stream.read_to_end(&mut rest)).await.unwrap().unwrap();

    assert_eq!(ask(&node, Method::PUT, LOOKUPS, "null").await.2, "[]");
    node.stop().await.unwrap();
}

#[tokio::test]
async fn the_log_level_can_be_changed_while_the_node_runs() {
    log::init(&LogArgs {
        log_level: "warn".to_owned(),
        log_format: LogFormat::Text,
        log_prefix: String::new(),
    });
    let fixture = Fixture::new();
    let node = fixture.start().await;
    assert_eq!(ask(&node, Method::GET, "log_level", "").await.2, "3");
    for (name, level, logged) in [
        ("error", "4", LevelFilter::ERROR),
        ("FATAL", "5", LevelFilter::OFF),
        ("Info", "2", LevelFilter::INFO),
        ("warn", "3", LevelFilter::WARN),
    ] {
        assert_eq!(ask(&node, Method::PUT, "log_level", name).await.2, level);
        assert_eq!(ask(&node, Method::GET, "log_level", "").await.2, level);
        assert_eq!(LevelFilter::current(), logged);
    }
    node.stop().await.unwrap();
}
