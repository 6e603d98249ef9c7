//! Snappy and deflate.

use punctual_queue_wire::compress::Compression;
use punctual_queue_wire::frame::Frame;
use serde_json::json;

use crate::fixture::{Client, Fixture, Running};

async fn connect(node: &Running, asked: serde_json::Value, compression: Compression) -> Client {
    let mut client = node.connect().await;
    client.negotiate(asked).await;
    client.pack(compression);
    client.expect_ok().await;
    client
}

#[tokio::test]
async fn messages_travel_compressed_both_ways() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    for (asked, compression, shown) in [
        (json!({ "snappy": true }), Compression::Snappy, "snappy"),
        (json!({ "deflate": true }), Compression::Deflate { level: 6 }, "deflate"),
    ] {
        let mut client = connect(&node, asked, compression).await;
        client.send(format!("SUB {shown} c\n").as_bytes()).await;
        client.expect_ok().await;
        let repetitive = "body ".repeat(100_000);
        for body in ["m", repetitive.as_str()] {
            node.publish(shown, &[body]).await;
            client.send(b"RDY 1\n").await;
            let message = client.expect_message(body).await;
            client.finish(&message).await;
        }
        let stats = node.channel_stats(shown, "c").await;
        assert_eq!(stats["clients"][0][shown], true);
        node.wait_for(shown, "c", "in_flight_count", 0).await;
    }
    node.stop().await.unwrap();
}

#[tokio::test]
async fn the_answer_to_identify_says_what_is_begun() {
    let fixture = Fixture::new();
    let mut options = fixture.options();
    options.compression.max_deflate_level = 4;
    let node = fixture.start_with(options).await;
    for (asked, snappy, deflate, level) in [
        (json!({}), false, false, 4),
        (json!({ "snappy": true }), true, false, 4),
        (json!({ "deflate": true, "deflate_level": 2 }), false, true, 2),
        (json!({ "deflate": true, "deflate_level": 9 }), false, true, 4),
        (json!({ "deflate": true, "deflate_level": -1 }), false, true, 4),
    ] {
        let answer = node.connect().await.negotiate(asked.clone()).await;
        assert_eq!(answer["snappy"], snappy, "{asked}");
        assert_eq!(answer["deflate"], deflate, "{asked}");
        assert_eq!(answer["deflate_level"], level, "{asked}");
        assert_eq!(answer["max_deflate_level"], 4, "{asked}");
    }
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_connection_has_one_compression_at_most() {
    let fixture = Fixture::new();
    let both = json!({ "feature_negotiation": true, "snappy": true, "deflate": true });
    let node = fixture.start().await;
    match node.connect().await.identify(&both).await {
        Frame::Error { code, text } => {
            assert_eq!(code, "E_IDENTIFY_FAILED");
            assert_eq!(text, "cannot enable both deflate and snappy compression");
        }
        other => panic!("{other:?}"),
    }
    node.stop().await.unwrap();

    let mut options = fixture.options();
    options.compression.deflate = false;
    let node = fixture.start_with(options).await;
    let answer = node.connect().await.negotiate(both).await;
    assert_eq!((&answer["snappy"], &answer["deflate"]), (&json!(true), &json!(false)));
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_identify_does_not_begin_the_same_again() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    let mut client = connect(&node, json!({ "snappy": true }), Compression::Snappy).await;
    assert_eq!(client.negotiate(json!({ "snappy": true })).await["snappy"], false);
    client.publish("t", b"m").await;
    client.expect_ok().await;
    node.stop().await.unwrap();
}

#[tokio::test]
async fn commands_sent_right_behind_identify_are_read_as_compressed() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    let mut client = node.connect().await;
    let body = json!({ "feature_negotiation": true, "snappy": true }).to_string();
    let mut bytes = b"IDENTIFY\n".to_vec();
    bytes.extend((body.len() as u32).to_be_bytes());
    bytes.extend(body.as_bytes());
    let mut packed = bytes::BytesMut::new();
    let command = crate::fixture::publish_command("t", b"early");
    punctual_queue_wire::compress::Encoder::new(Compression::Snappy).encode(&command, &mut packed);
    bytes.extend(&packed);
    client.send(&bytes).await;
    assert!(matches!(client.next().await, Some(Frame::Response(_))), "the answer to IDENTIFY");
    client.pack(Compression::Snappy);
    client.expect_ok().await;
    client.expect_ok().await;
    node.stop().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_unpacked_ends_the_connection_and_no_other() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    let mut client = node.connect().await;
    client.negotiate(json!({ "snappy": true })).await;
    client.send(b"this is no snappy stream, and never will be").await;
    // It may still read the OK that announced the compression.
    while client.next_bytes().await > 0 {}
    node.publish("t", &["others go on"]).await;
    node.stop().await.unwrap();
}
