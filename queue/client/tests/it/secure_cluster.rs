//! Our own node and lookup with TLS, compression and AUTH, and clients that have what it takes.

use bytes::Bytes;
use punctual_queue_client::{
    connection::{Connection, ConnectionError, ConnectionOptions},
    consumer::{Consumer, ConsumerOptions},
    producer::ProducerOptions,
    publisher::{Publisher, PublisherOptions},
    tls::{ClientTls, TlsOptions},
    transport::{Compression, Secret, TransportOptions},
};
use punctual_queue_node::options::{ClientAuthPolicy, NodeOptions, TlsRequired};

use crate::{
    authority::Authority,
    consumer::receive,
    lookup::Lookup,
    servers::{RealLookup, RealNode},
};

/// The host that tests dial.
const HERE: &str = "127.0.0.1";

/// What an authentication server says of everybody.
const ALLOWED: &str = r#"{"ttl":60,"identity":"me","identity_url":"",
    "authorizations":[{"permissions":["publish","subscribe"],"topic":".*","channels":[".*"]}]}"#;

/// A lookup that takes nodes with a certificate of this authority.
async fn demanding_lookup(authority: &Authority) -> anyhow::Result<RealLookup> {
    let (cert, key) = authority.issue(HERE)?;
    let file = |flag: &str, path: std::path::PathBuf| format!("--{flag}={}", path.display());
    let files = [
        file("tls-cert", cert),
        file("tls-key", key),
        file("tls-root-ca-file", authority.file("ca.pem")),
        format!("--tcp-address={HERE}:0"),
        format!("--http-address={HERE}:0"),
    ];
    RealLookup::start_with(&files.each_ref().map(String::as_str)).await
}

/// Lets a node register at such a lookup.
fn registering(options: &mut NodeOptions, authority: &Authority) -> anyhow::Result<()> {
    let (cert, key) = authority.issue("node.example")?;
    options.lookup_tls.lookupd_tls = true;
    options.lookup_tls.lookupd_tls_root_ca_file = Some(authority.file("ca.pem"));
    options.lookup_tls.lookupd_tls_cert = Some(cert);
    options.lookup_tls.lookupd_tls_key = Some(key);
    Ok(())
}

/// Lets in only clients with TLS, a certificate of this authority, and a secret.
fn demanding(options: &mut NodeOptions, authority: &Authority, auth: &Lookup) -> anyhow::Result<()> {
    let (cert, key) = authority.issue(HERE)?;
    options.tls.https_address = ([127, 0, 0, 1], 0).into();
    options.tls.identity.tls_cert = Some(cert);
    options.tls.identity.tls_key = Some(key);
    options.tls.tls_root_ca_file = Some(authority.file("ca.pem"));
    options.tls.tls_client_auth_policy = Some(ClientAuthPolicy::RequireVerify);
    options.tls.tls_required = TlsRequired::TcpHttps;
    options.auth.auth_http_addresses = vec![auth.address.clone()];
    Ok(())
}

fn shown(authority: &Authority) -> anyhow::Result<ClientTls> {
    let (certificate, key) = authority.issue("client.example")?;
    let options = TlsOptions { certificate: Some(certificate), key: Some(key), ..authority.trusted() };
    Ok(ClientTls::load(&options)?)
}

#[tokio::test]
async fn what_is_published_is_consumed_over_tls_compressed_and_with_a_secret() -> anyhow::Result<()> {
    let (authority, auth) = (Authority::new()?, Lookup::answering(ALLOWED).await?);
    let lookup = demanding_lookup(&authority).await?;
    let mut wrong = Ok(());
    let node = RealNode::start_with(&[&lookup], |options| {
        wrong = registering(options, &authority).and_then(|()| demanding(options, &authority, &auth));
    })
    .await?;
    wrong?;
    lookup.wait_for("/nodes", |found| found.contains(&format!("\"tcp_port\":{}", node.tcp.port()))).await?;

    let tls = shown(&authority)?;
    for compression in [None, Some(Compression::Snappy), Some(Compression::Deflate { level: 3 })] {
        let transport = TransportOptions { tls: Some(tls.clone()), compression, secret: Secret::new("hush") };
        let connection = ConnectionOptions { transport, ..ConnectionOptions::default() };
        let lookups = vec![lookup.http.to_string()];
        let publisher = Publisher::start(PublisherOptions {
            lookups: lookups.clone(),
            producer: ProducerOptions { connection: connection.clone(), ..ProducerOptions::default() },
            ..PublisherOptions::default()
        })?;
        let bodies = [Bytes::from(vec![b'x'; 300_000]), Bytes::from("small")];
        let publication = publisher.publish(&"orders".parse()?, bodies.to_vec()).await;
        assert!(publication.is_acknowledged(), "{compression:?} {publication:?}");

        lookup.wait_for("/topics", |found| found.contains("orders")).await?;
        let options = ConsumerOptions {
            lookups,
            connection,
            ..ConsumerOptions::new("orders".parse()?, "mail".parse()?)
        };
        let mut consumer = Consumer::start(options)?;
        consumer.set_max_in_flight(2);
        let mut received = Vec::new();
        for _ in 0..bodies.len() {
            let delivery = receive(&mut consumer).await?;
            received.push(delivery.message().body.clone());
            delivery.finish();
        }
        received.sort_by_key(|body| std::cmp::Reverse(body.len()));
        assert_eq!(received, bodies);
        consumer.close().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_client_that_lacks_something_is_told_what() -> anyhow::Result<()> {
    let (authority, auth) = (Authority::new()?, Lookup::answering(ALLOWED).await?);
    let mut wrong = Ok(());
    let node = RealNode::start_with(&[], |options| wrong = demanding(options, &authority, &auth)).await?;
    wrong?;
    let open = async |tls: Option<ClientTls>, secret: Option<Secret>| {
        let transport = TransportOptions { tls, secret, ..TransportOptions::default() };
        let options = ConnectionOptions { transport, ..ConnectionOptions::default() };
        Connection::open(&node.address(), &options).await
    };
    let no_certificate = open(Some(authority.client()?), Secret::new("hush")).await;
    assert!(matches!(no_certificate, Err(ConnectionError::CertificateRefused { .. })), "{no_certificate:?}");
    let stranger = shown(&Authority::new()?)?;
    let not_trusted = open(Some(stranger), Secret::new("hush")).await;
    assert!(matches!(not_trusted, Err(ConnectionError::NotTrusted { .. })), "{not_trusted:?}");
    let no_secret = open(Some(shown(&authority)?), None).await;
    assert!(matches!(no_secret, Err(ConnectionError::SecretMissing { .. })), "{no_secret:?}");
    let no_tls = open(None, Secret::new("hush")).await;
    let text = no_tls.err().map(|error| error.to_string());
    let expected = format!("{} answered E_INVALID cannot AUTH in current state (TLS required)", node.tcp);
    assert_eq!(text, Some(expected));
    open(Some(shown(&authority)?), Secret::new("hush")).await?;
    Ok(())
}
