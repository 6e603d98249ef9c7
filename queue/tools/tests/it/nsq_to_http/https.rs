//! Servers with certificates.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::CHANNEL;
use crate::process::ToolProcess;
use crate::servers::{PATIENCE, RealNode, install_crypto_provider};

/// Issues a certificate for a server at 127.0.0.1; with the authority's own certificate.
fn issue() -> anyhow::Result<(ServerConfig, String)> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    let authority = params.self_signed(&key)?.pem();
    let issuer = Issuer::new(params, key);
    let server_key = KeyPair::generate()?;
    let server = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&server_key, &issuer)?;
    let key = PrivateKeyDer::try_from(server_key.serialize_der()).map_err(anyhow::Error::msg)?;
    let chain = vec![CertificateDer::from(server.der().to_vec())];
    Ok((ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?, authority))
}

/// Answers one request after another with 200, as far as their head; says whether the handshake went well.
async fn serve(listener: TcpListener, config: ServerConfig, handshakes: mpsc::UnboundedSender<bool>) {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let accepted = acceptor.accept(stream).await;
        handshakes.send(accepted.is_ok()).unwrap();
        let Ok(mut stream) = accepted else { continue };
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\nbody") && stream.read_buf(&mut request).await.unwrap() > 0 {}
        stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        stream.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_server_has_to_show_a_certificate_of_an_authority_that_the_system_trusts() -> anyhow::Result<()> {
    install_crypto_provider();
    let (node, dir) = (RealNode::start().await?, TempDir::new()?);
    let ((config, authority), (_, stranger)) = (issue()?, issue()?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let post = format!("-post=https://{}/", listener.local_addr()?);
    let (sender, mut handshakes) = mpsc::unbounded_channel();
    let mut server = JoinSet::new();
    server.spawn(serve(listener, config, sender));
    node.publish("t", &["body"]).await?;
    let flag = node.flag();
    let words = [flag.as_str(), "-topic=t", &post, "-consumer-opt=default_requeue_delay,1ms"];
    for (name, pem, expect) in [("stranger", stranger, false), ("authority", authority, true)] {
        let file = dir.path().join(name);
        std::fs::write(&file, pem)?;
        // Of the process before, which is gone.
        while handshakes.try_recv().is_ok() {}
        let _tool = ToolProcess::start("nsq_to_http", &words, Some(&file))?;
        assert_eq!(timeout(PATIENCE, handshakes.recv()).await?, Some(expect), "{name}");
        if expect {
            node.wait_finished("t", CHANNEL, 1).await?;
        }
    }
    Ok(())
}
