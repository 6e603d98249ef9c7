//! TLS, compression and AUTH, in the order in which nodes begin them.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use punctual_queue_client::{
    connection::{Connection, ConnectionError, ConnectionOptions, ProtocolViolation},
    consumer::{Consumer, ConsumerOptions},
    discovery::LookupClient,
    producer::{Producer, ProducerOptions, PublishOutcome},
    publisher::{Publisher, PublisherOptions},
    tls::{ClientTls, TlsOptions},
    transport::{Compression, Secret, TransportOptions},
    wire::{
        command::Command,
        frame::{OK, encode_response},
        identify::IdentifyAnswer,
        name::TopicName,
    },
};
use tokio::time::timeout;

use crate::{
    authority::Authority,
    lookup::Lookup,
    node::{Node, PATIENCE},
    upgrades::Grants,
};

/// The host that tests dial.
const HERE: &str = "127.0.0.1";

const SNAPPY: Compression = Compression::Snappy;
const DEFLATE: Compression = Compression::Deflate { level: 6 };

fn topic() -> TopicName {
    "orders".parse().expect("a topic's name")
}

fn over(transport: TransportOptions) -> ConnectionOptions {
    ConnectionOptions { transport, ..ConnectionOptions::default() }
}

fn with_tls(tls: ClientTls) -> ConnectionOptions {
    over(TransportOptions { tls: Some(tls), ..TransportOptions::default() })
}

fn with_secret(secret: &str) -> ConnectionOptions {
    over(TransportOptions { secret: Secret::new(secret), ..TransportOptions::default() })
}

#[tokio::test]
async fn tls_comes_first_then_compression_then_the_secret_then_the_subscription() -> anyhow::Result<()> {
    let (node, authority) = (Node::start().await?, Authority::new()?);
    let tls = Some(authority.server(HERE)?);
    let transport = TransportOptions {
        tls: Some(authority.client()?),
        compression: Some(SNAPPY),
        secret: Secret::new("open sesame"),
    };
    let mut consumer = Consumer::start(ConsumerOptions {
        nodes: vec![node.address()],
        connection: over(transport),
        ..ConsumerOptions::new(topic(), "mail".parse()?)
    })?;
    consumer.set_max_in_flight(1);

    let grants = Grants { tls, compression: Some(SNAPPY), auth_required: true };
    let mut peer = node.accept_granting(&grants).await?;
    assert!(peer.identify.tls_v1 && peer.identify.snappy && !peer.identify.deflate);
    assert_eq!(peer.command().await?, Command::Auth(Bytes::from("open sesame")));
    peer.respond(br#"{"identity":"me","identity_url":"","permission_count":1}"#).await?;
    peer.subscribed().await?;
    assert_eq!(peer.command().await?, Command::Rdy(1));
    let id = peer.deliver(1).await?;
    let delivery = timeout(PATIENCE, consumer.recv()).await?.expect("the consumer runs");
    assert_eq!(&delivery.message().body[..], b"message 1");
    delivery.finish();
    assert_eq!(peer.command().await?, Command::Fin(id));
    Ok(())
}

/// Publishes something large and something small over what was asked for, to a node that grants `grants`.
async fn check_publishing(asked: TransportOptions, grants: Grants) -> anyhow::Result<()> {
    let node = Node::start().await?;
    let options = ProducerOptions { connection: over(asked), ..ProducerOptions::default() };
    let bodies: Vec<_> = [vec![b'x'; 300_000], b"small".to_vec(), (0..=255).cycle().take(100_000).collect()]
        .map(Bytes::from)
        .into();
    let scripted = async {
        let mut peer = node.accept_granting(&grants).await?;
        for body in &bodies {
            assert_eq!(peer.command().await?, Command::Pub { topic: topic(), body: body.clone() });
            peer.respond(OK).await?;
        }
        anyhow::Ok(peer)
    };
    let address = node.address();
    let publishing = async {
        let producer = Producer::connect(&address, options).await?;
        for body in &bodies {
            let outcome = producer.publish(&topic(), vec![body.clone()]).await;
            assert_eq!(outcome, PublishOutcome::Acknowledged);
        }
        anyhow::Ok(producer)
    };
    let (scripted, publishing) = tokio::join!(scripted, publishing);
    drop((scripted?, publishing?));
    Ok(())
}

#[tokio::test]
async fn a_producer_publishes_over_every_combination() -> anyhow::Result<()> {
    let authority = Authority::new()?;
    for compression in [None, Some(SNAPPY), Some(DEFLATE)] {
        for tls in [false, true] {
            let asked = TransportOptions {
                tls: if tls { Some(authority.client()?) } else { None },
                compression,
                secret: None,
            };
            let server = if tls { Some(authority.server(HERE)?) } else { None };
            check_publishing(asked, Grants { tls: server, compression, auth_required: false }).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_node_without_the_compression_is_published_to_without() -> anyhow::Result<()> {
    for compression in [SNAPPY, DEFLATE] {
        let asked = TransportOptions { compression: Some(compression), ..TransportOptions::default() };
        check_publishing(asked, Grants::default()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_publisher_finds_nodes_by_a_lookup_over_https_and_publishes_over_tls() -> anyhow::Result<()> {
    let (node, authority) = (Node::start().await?, Authority::new()?);
    let lookup = Lookup::listing_over_tls(&[node.port()], authority.server(HERE)?).await?;
    let url = format!("https://{}", lookup.address);
    let connection = with_tls(authority.client()?);
    let publisher = Publisher::start(PublisherOptions {
        lookups: vec![url.clone()],
        producer: ProducerOptions { connection, ..ProducerOptions::default() },
        ..PublisherOptions::default()
    })?;
    let scripted = async {
        let grants = Grants { tls: Some(authority.server(HERE)?), ..Grants::default() };
        let mut peer = node.accept_granting(&grants).await?;
        peer.command().await?;
        peer.respond(OK).await?;
        anyhow::Ok(peer)
    };
    let topic = topic();
    let publishing = publisher.publish(&topic, vec!["one".into()]);
    let (publication, scripted) = timeout(PATIENCE, async { tokio::join!(publishing, scripted) }).await?;
    scripted?;
    assert!(publication.is_acknowledged(), "{publication:?}");

    let stranger = Authority::new()?.client()?;
    let listing = LookupClient::with_tls([&url], Some(&stranger))?.nodes().await;
    assert!(listing.nodes.is_empty() && listing.failed.len() == 1, "{listing:?}");
    Ok(())
}

#[tokio::test]
async fn a_node_without_tls_is_not_spoken_to_in_the_clear() -> anyhow::Result<()> {
    let node = Node::start().await?;
    let (address, options) = (node.address(), with_tls(Authority::new()?.client()?));
    let (opened, peer) = tokio::join!(Connection::open(&address, &options), node.accept(None));
    let error = opened.expect_err("it offers none");
    assert!(matches!(error, ConnectionError::TlsNotOffered { .. }), "{error:?}");
    assert_eq!(peer?.next().await?, None, "nothing is said after that");
    Ok(())
}

/// What comes of a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handshake {
    Done,
    /// The client did not trust the server.
    NotTrusted,
    /// The server did not let the client in.
    NotLetIn,
}

/// A client with these options and a server come to an agreement, or not.
async fn check_handshake(
    options: &TlsOptions,
    server: &tokio_rustls::TlsAcceptor,
    expect: Handshake,
) -> anyhow::Result<()> {
    let node = Node::start().await?;
    let connection =
        ConnectionOptions { connect_timeout: Duration::from_secs(5), ..with_tls(ClientTls::load(options)?) };
    let address = node.address();
    let opening = Connection::open(&address, &connection);
    let (opened, handshake) = tokio::join!(opening, node.handshake(server));
    assert_eq!(handshake?.is_ok(), expect == Handshake::Done);
    // This node closes the connection after the handshake. With TLS 1.3 a client hears only then that it is not let in.
    let end = opened.expect_err("the node goes");
    let as_expected = match expect {
        Handshake::Done => matches!(end, ConnectionError::Closed { .. }),
        Handshake::NotTrusted => matches!(end, ConnectionError::NotTrusted { .. }),
        Handshake::NotLetIn => matches!(end, ConnectionError::CertificateRefused { .. }),
    };
    assert!(as_expected, "{expect:?} {end:?}");
    Ok(())
}

#[tokio::test]
async fn a_node_is_trusted_by_its_authority_and_its_name() -> anyhow::Result<()> {
    let (authority, stranger) = (Authority::new()?, Authority::new()?);
    let trusted = authority.trusted();
    check_handshake(&trusted, &authority.server(HERE)?, Handshake::Done).await?;
    check_handshake(&trusted, &stranger.server(HERE)?, Handshake::NotTrusted).await?;
    check_handshake(&trusted, &authority.server("node.example")?, Handshake::NotTrusted).await?;
    let named = TlsOptions { server_name: Some("node.example".to_owned()), ..trusted };
    check_handshake(&named, &authority.server("node.example")?, Handshake::Done).await?;
    let careless = TlsOptions { insecure_skip_verify: true, ..TlsOptions::default() };
    check_handshake(&careless, &stranger.server("elsewhere.example")?, Handshake::Done).await?;
    Ok(())
}

#[tokio::test]
async fn a_certificate_is_shown_to_a_node_that_asks_for_one() -> anyhow::Result<()> {
    let authority = Authority::new()?;
    let server = authority.demanding_server(HERE)?;
    check_handshake(&authority.trusted(), &server, Handshake::NotLetIn).await?;
    let (certificate, key) = authority.issue("client.example")?;
    let shown = TlsOptions { certificate: Some(certificate), key: Some(key), ..authority.trusted() };
    check_handshake(&shown, &server, Handshake::Done).await?;
    let (_, another) = authority.issue("another.example")?;
    let mixed = TlsOptions { key: Some(another), ..shown };
    assert!(ClientTls::load(&mixed).is_err(), "the key is another certificate's");
    Ok(())
}

#[tokio::test]
async fn a_secret_is_shown_to_nodes_that_ask_for_one_and_to_no_others() -> anyhow::Result<()> {
    let asks = Grants { auth_required: true, ..Grants::default() };
    let node = Node::start().await?;
    let (address, options) = (node.address(), ConnectionOptions::default());
    let (opened, peer) = tokio::join!(Connection::open(&address, &options), node.accept_granting(&asks));
    let error = opened.expect_err("there is no secret to show");
    assert!(matches!(error, ConnectionError::SecretMissing { .. }), "{error:?}");
    drop(peer?);

    let (options, grants) = (with_secret("hush"), Grants::default());
    let (opened, peer) = tokio::join!(Connection::open(&address, &options), node.accept_granting(&grants));
    drop(opened?);
    assert_eq!(peer?.next().await?, None, "nobody asked");

    let refusing = async {
        let mut peer = node.accept_granting(&asks).await?;
        assert_eq!(peer.command().await?, Command::Auth(Bytes::from("hush")));
        peer.refuse("E_AUTH_FAILED AUTH failed").await?;
        anyhow::Ok(peer)
    };
    let (opened, refusing) = tokio::join!(Connection::open(&address, &options), refusing);
    drop(refusing?);
    let error = opened.expect_err("the node does not know the secret");
    let refused = matches!(&error, ConnectionError::SecretRefused { code, .. } if code == "E_AUTH_FAILED");
    assert!(refused, "{error:?}");
    assert!(!format!("{error:?}").contains("hush"));
    Ok(())
}

/// What a client makes of a node that goes on with `bytes` after an answer that grants `granted`.
async fn violation(
    options: ConnectionOptions,
    granted: IdentifyAnswer,
    bytes: &[u8],
) -> anyhow::Result<ProtocolViolation> {
    let node = Node::start().await?;
    let address = node.address();
    let scripted = async {
        let mut peer = node.accept_answering_with(&granted, bytes).await?;
        let _gone = peer.next().await;
        anyhow::Ok(())
    };
    let (opened, scripted) = tokio::join!(Connection::open(&address, &options), scripted);
    scripted?;
    match opened {
        Err(ConnectionError::Protocol { reason, .. }) => Ok(reason),
        other => anyhow::bail!("{other:?}"),
    }
}

#[tokio::test]
async fn a_node_that_upgrades_in_its_own_way_is_told_apart() -> anyhow::Result<()> {
    let (plain, mut ok) = (IdentifyAnswer::default(), BytesMut::new());
    encode_response(OK, &mut ok);
    let tls_granted = IdentifyAnswer { tls_v1: true, ..plain.clone() };
    let early = violation(with_tls(Authority::new()?.client()?), tls_granted.clone(), &ok).await?;
    assert_eq!(early, ProtocolViolation::BytesBeforeTls);

    let unasked = violation(ConnectionOptions::default(), tls_granted, &ok).await?;
    assert_eq!(unasked, ProtocolViolation::Unasked);

    let snappy = IdentifyAnswer { snappy: true, ..plain };
    let unasked = violation(ConnectionOptions::default(), snappy.clone(), &ok).await?;
    assert_eq!(unasked, ProtocolViolation::Unasked);
    let asked = || over(TransportOptions { compression: Some(SNAPPY), ..TransportOptions::default() });
    let uncompressed = violation(asked(), snappy.clone(), &ok).await?;
    assert!(matches!(uncompressed, ProtocolViolation::Compression(_)), "{uncompressed:?}");
    let (mut another, mut packed) = (BytesMut::new(), BytesMut::new());
    encode_response(b"KO", &mut another);
    punctual_queue_client::wire::compress::Encoder::new(SNAPPY).encode(&another, &mut packed);
    assert_eq!(violation(asked(), snappy, &packed).await?, ProtocolViolation::NotUpgraded);
    Ok(())
}
