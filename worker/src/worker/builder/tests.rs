use super::*;

async fn nothing(_: Context) -> Result<(), HandlerError> {
    Ok(())
}

fn good() -> WorkerBuilder {
    Worker::builder()
        .server(["http://127.0.0.1:7700"])
        .lookup_http_addresses(["127.0.0.1:4161"])
        .handler("noop", nothing)
}

#[track_caller]
fn check(change: impl FnOnce(WorkerBuilder) -> WorkerBuilder, expect: &str) {
    let outcome = change(good()).build();
    let text = outcome.map(drop).map_err(|error| error.to_string()).err().unwrap_or_default();
    assert!(text.contains(expect) && text.is_empty() == expect.is_empty(), "{text:?}, expected {expect:?}");
}

#[tokio::test]
async fn what_is_missing_or_out_of_range_is_named() {
    check(|b| b, "");
    check(|b| b.namespace("Ops"), "\"Ops\" is not a namespace");
    check(|b| b.namespace("a.b"), "is not a namespace");
    check(|b| b.task_queue(""), "is not a task queue");
    check(|b| b.task_queue("a".repeat(35)), "is not a task queue");
    check(|b| b.task_queue("mail_out-2"), "");
    check(|b| b.places(0), "0 places: a worker has 1 to 10000");
    check(|b| b.places(10_001), "10001 places");
    check(|b| b.handler("noop", nothing), "two handlers for the kind \"noop\"");
    check(|b| b.handler("no op", nothing), "\"no op\" is not a kind");
    check(|b| b.server(["127.0.0.1:7700"]), "\"127.0.0.1:7700\" is not the URL of a scheduler");
    check(|b| b.server(["ftp://x"]), "is not the URL of a scheduler");
    check(|b| b.queue_tcp_addresses(["nowhere"]), "\"nowhere\" is not an address");
    check(
        |_| Worker::builder().server(["http://x:1"]).handler("noop", nothing),
        "a lookup or of a queue node",
    );
    check(
        |_| Worker::builder().queue_tcp_addresses(["x:1"]).handler("noop", nothing),
        "the address of a scheduler",
    );
    check(
        |_| Worker::builder().server(["http://x:1"]).queue_tcp_addresses(["x:1"]),
        "a worker needs a handler",
    );
}
