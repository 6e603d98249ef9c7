//! TLS on both interfaces.

use std::path::PathBuf;
use std::sync::Arc;

use punctual_queue_node::error::NodeError;
use punctual_queue_node::node::Node;
use punctual_queue_node::options::{ClientAuthPolicy, NodeOptions, TlsMinVersion, TlsRequired};
use punctual_queue_wire::compress::Compression;
use punctual_service::tls::install_crypto_provider;
use rcgen::{CertificateParams, CertifiedIssuer, DnType, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use serde_json::json;
use tempfile::TempDir;
use tokio_rustls::TlsConnector;

use crate::fixture::{Client, Fixture, Running};

/// An authority, and a node's certificate from it.
pub(crate) struct Authority {
    dir: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A client's certificate.
pub(crate) type Shown = (CertificateDer<'static>, PrivateKeyDer<'static>);

impl Authority {
    pub(crate) fn new() -> Self {
        install_crypto_provider();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self { dir: tempfile::tempdir().unwrap(), issuer };
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority.issuer).unwrap();
        std::fs::write(authority.file("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(authority.file("key.pem"), key.serialize_pem()).unwrap();
        std::fs::write(authority.file("roots.pem"), authority.issuer.pem()).unwrap();
        authority
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn options(&self, fixture: &Fixture) -> NodeOptions {
        let mut options = fixture.options();
        options.tls.https_address = ([127, 0, 0, 1], 0).into();
        options.tls.identity.tls_cert = Some(self.file("cert.pem"));
        options.tls.identity.tls_key = Some(self.file("key.pem"));
        options.tls.tls_root_ca_file = Some(self.file("roots.pem"));
        options
    }

    fn certificate_of(&self, name: &str) -> Shown {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    pub(crate) fn connector(
        &self,
        shown: Option<Shown>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_protocol_versions(versions).with_root_certificates(roots);
        let config = match shown {
            Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key).unwrap(),
            None => builder.with_no_client_auth(),
        };
        TlsConnector::from(Arc::new(config))
    }
}

/// A client that asks for what `asked` says and for TLS, and is on TLS, if the handshake came through.
async fn connect(
    node: &Running,
    connector: &TlsConnector,
    asked: serde_json::Value,
) -> std::io::Result<Client> {
    upgrade(node.connect().await, connector, asked).await
}

/// The same on a connection that is there.
pub(crate) async fn upgrade(
    mut client: Client,
    connector: &TlsConnector,
    mut asked: serde_json::Value,
) -> std::io::Result<Client> {
    asked["tls_v1"] = true.into();
    let answer = client.negotiate(asked).await;
    assert_eq!(answer["tls_v1"], true);
    let name = ServerName::try_from("localhost").unwrap();
    client.wrapped(async |stream| connector.connect(name, stream).await).await
}

#[tokio::test]
async fn a_client_that_asks_for_tls_goes_on_under_it() {
    let (fixture, authority) = (Fixture::new(), Authority::new());
    let node = fixture.start_with(authority.options(&fixture)).await;
    for (version, shown) in [(&TLS12, "TLS1.2"), (&TLS13, "TLS1.3")] {
        let connector = authority.connector(None, &[version]);
        let mut client = connect(&node, &connector, json!({})).await.unwrap();
        client.expect_ok().await;
        client.send(b"SUB secured c\nRDY 1\n").await;
        client.expect_ok().await;
        client.publish("secured", b"secret").await;
        let mut answers = Vec::new();
        for _ in 0..2 {
            answers.push(format!("{:?}", client.next().await.unwrap()));
        }
        answers.sort();
        assert!(answers[0].contains("secret") && answers[1].contains("OK"), "{answers:?}");
        let stats = node.channel_stats("secured", "c").await;
        assert_eq!(stats["clients"][0]["tls"], true);
        assert_eq!(stats["clients"][0]["tls_version"], shown);
        let suite = stats["clients"][0]["tls_cipher_suite"].as_str().unwrap().to_owned();
        assert!(suite.starts_with("TLS_"), "{suite}");
        drop(client);
        node.wait_for("secured", "c", "client_count", 0).await;
        assert_eq!(node.post("/channel/delete?topic=secured&channel=c").await.0, 200);
    }
    node.stop().await.unwrap();
}

#[tokio::test]
async fn tls_and_compression_are_begun_one_after_the_other_each_with_an_ok_of_its_own() {
    let (fixture, authority) = (Fixture::new(), Authority::new());
    let node = fixture.start_with(authority.options(&fixture)).await;
    let connector = authority.connector(None, &[&TLS13]);
    for (asked, compression) in [
        (json!({ "snappy": true }), Compression::Snappy),
        (json!({ "deflate": true, "deflate_level": 3 }), Compression::Deflate { level: 3 }),
    ] {
        let mut client = connect(&node, &connector, asked).await.unwrap();
        client.expect_ok().await;
        client.pack(compression);
        client.expect_ok().await;
        client.publish("t", &[b'x'; 100_000]).await;
        client.expect_ok().await;
    }
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_node_without_a_certificate_does_not_offer_tls() {
    let fixture = Fixture::new();
    let node = fixture.start().await;
    let mut client = node.connect().await;
    assert_eq!(client.negotiate(json!({ "tls_v1": true })).await["tls_v1"], false);
    client.publish("t", b"plain").await;
    client.expect_ok().await;
    assert!(node.https.is_none());
    node.stop().await.unwrap();
}

#[tokio::test]
async fn where_tls_is_demanded_a_plain_connection_may_only_ask_for_it() {
    let (fixture, authority) = (Fixture::new(), Authority::new());
    let mut options = authority.options(&fixture);
    options.tls.tls_required = TlsRequired::TcpHttps;
    let node = fixture.start_with(options).await;
    for (command, name) in [("NOP\n", "NOP"), ("SUB t c\n", "SUB"), ("WHAT\n", "WHAT")] {
        let mut client = node.connect().await;
        client.send(command.as_bytes()).await;
        client.expect_error(&format!("E_INVALID cannot {name} in current state (TLS required)")).await;
        client.expect_end().await;
    }
    let mut client = connect(&node, &authority.connector(None, &[&TLS13]), json!({})).await.unwrap();
    client.expect_ok().await;
    client.publish("t", b"m").await;
    client.expect_ok().await;
    assert_eq!(node.get("/ping").await.status(), 200, "tcp-https leaves plain HTTP open");
    node.stop().await.unwrap();
}

#[tokio::test]
async fn where_tls_is_demanded_of_http_too_a_plain_request_is_told_the_port() {
    let (fixture, authority) = (Fixture::new(), Authority::new());
    let mut options = authority.options(&fixture);
    options.tls.tls_required = TlsRequired::True;
    let node = fixture.start_with(options).await;
    let https = node.https.unwrap();
    for path in ["/ping", "/stats?format=json", "/metrics", "/nothing"] {
        let refused = node.get(path).await;
        assert_eq!(refused.status(), 403);
        assert_eq!(refused.headers()["x-nsq-content-type"], "nsq; version=1.0");
        assert_eq!(refused.headers()["content-type"], "application/json; charset=utf-8");
        let expected = format!(r#"{{"message": "TLS_REQUIRED", "https_port": {}}}"#, https.port());
        assert_eq!(refused.text().await.unwrap(), expected);
    }
    let root = reqwest::Certificate::from_pem(authority.issuer.pem().as_bytes()).unwrap();
    let client =
        reqwest::Client::builder().tls_certs_only([root]).resolve("localhost", https).build().unwrap();
    let answer = client.get(format!("https://localhost:{}/ping", https.port())).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "OK");
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_client_is_asked_for_the_certificate_that_the_policy_wants() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for (policy, whose, expected) in [
        (ClientAuthPolicy::Require, None, false),
        (ClientAuthPolicy::Require, Some(&stranger), true),
        (ClientAuthPolicy::RequireVerify, None, false),
        (ClientAuthPolicy::RequireVerify, Some(&stranger), false),
        (ClientAuthPolicy::RequireVerify, Some(&authority), true),
    ] {
        let fixture = Fixture::new();
        let mut options = authority.options(&fixture);
        options.tls.tls_client_auth_policy = Some(policy);
        let node = fixture.start_with(options).await;
        let shown = whose.map(|authority| authority.certificate_of("ann"));
        // Under TLS 1.2 the refusal comes within the handshake.
        let connected = connect(&node, &authority.connector(shown, &[&TLS12]), json!({})).await;
        assert_eq!(connected.is_ok(), expected, "{policy:?}");
        if let Ok(mut client) = connected {
            client.expect_ok().await;
        }
        let mut plain = node.connect().await;
        plain.send(b"NOP\n").await;
        plain.expect_error("E_INVALID cannot NOP in current state (TLS required)").await;
        node.stop().await.unwrap();
    }
}

#[tokio::test]
async fn the_oldest_version_that_is_talked_can_be_chosen() {
    let (fixture, authority) = (Fixture::new(), Authority::new());
    let mut options = authority.options(&fixture);
    options.tls.tls_min_version = TlsMinVersion::Tls13;
    let node = fixture.start_with(options).await;
    assert!(connect(&node, &authority.connector(None, &[&TLS12]), json!({})).await.is_err());
    assert!(connect(&node, &authority.connector(None, &[&TLS13]), json!({})).await.is_ok());
    node.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_sent_in_the_clear_before_tls_begins_is_not_carried_out_under_it() {
    let (fixture, authority) = (Fixture::new(), Authority::new());
    let node = fixture.start_with(authority.options(&fixture)).await;
    let mut client = node.connect().await;
    let body = json!({ "feature_negotiation": true, "tls_v1": true }).to_string();
    let mut early = b"IDENTIFY\n".to_vec();
    early.extend((body.len() as u32).to_be_bytes());
    early.extend(body.as_bytes());
    early.extend(crate::fixture::publish_command("smuggled", b"m"));
    client.send(&early).await;
    assert!(client.next().await.is_some(), "the answer to IDENTIFY");
    client.expect_error("E_IDENTIFY_FAILED IDENTIFY failed bytes were sent before TLS was agreed on").await;
    client.expect_end().await;
    let stats: serde_json::Value = node.get("/stats?format=json&topic=smuggled").await.json().await.unwrap();
    assert_eq!(stats["topics"], serde_json::Value::Null);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_node_that_cannot_do_what_is_demanded_does_not_start() {
    let (fixture, authority) = (Fixture::new(), Authority::new());
    let refused = async |change: fn(&mut NodeOptions)| {
        let mut options = authority.options(&fixture);
        change(&mut options);
        Node::open(options).await.unwrap_err()
    };
    let without_certificate = refused(|options| {
        options.tls.identity = Default::default();
        options.tls.tls_required = TlsRequired::True;
    });
    assert!(matches!(without_certificate.await, NodeError::NoCertificate));
    let without_roots = refused(|options| {
        options.tls.tls_root_ca_file = None;
        options.tls.tls_client_auth_policy = Some(ClientAuthPolicy::RequireVerify);
    });
    assert!(matches!(without_roots.await, NodeError::NoAuthorities));
    let without_key = refused(|options| options.tls.identity.tls_key = None).await;
    assert_eq!(without_key.to_string(), "--tls-cert needs --tls-key beside it");
}
