//! Tokens and TLS on the schedulers' port.

use std::time::Duration;

use anyhow::ensure;
use punctual_proto::v1::ListJobsRequest;
use punctual_proto::v1::job_service_client::JobServiceClient;
use punctual_tests::cluster::{Cluster, Shape};
use punctual_tests::process::output;
use punctual_tests::programs;
use punctual_tests::topology::Role;
use punctual_tests::wait::until;
use tonic::metadata::MetadataValue;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};

const TOKEN: &str = "a-secret-of-some-length-for-tests";

struct Secured {
    cluster: Cluster,
    ca: String,
    server: String,
    token_file: String,
    ca_file: String,
}

/// One scheduler and one worker, which speak TLS and know a token.
async fn secured() -> anyhow::Result<(Secured, tempfile::TempDir)> {
    let dir = tempfile::tempdir_in(programs::scratch()?)?;
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    let file = |name: &str, text: &str| -> anyhow::Result<String> {
        let path = dir.path().join(name);
        std::fs::write(&path, text)?;
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        Ok(path.to_string_lossy().into_owned())
    };
    let ca = issued.cert.pem();
    let ca_file = file("cert.pem", &ca)?;
    let key_file = file("key.pem", &issued.signing_key.serialize_pem())?;
    let token_file = file("token", TOKEN)?;
    let flags = |flags: &[&str]| flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>();
    let extra = vec![(
        Role::Scheduler,
        flags(&["--tls-cert", &ca_file, "--tls-key", &key_file, "--token-file", &token_file]),
    )];
    let scheduler_certificate = Some(ca.clone());
    let cluster = Cluster::start(Shape { extra, scheduler_certificate, ..Shape::small() }).await?;
    let server = cluster.servers().remove(0).replace("http://", "https://");
    Ok((Secured { cluster, ca, server, token_file, ca_file }, dir))
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_shows_the_token_over_tls_is_served() -> anyhow::Result<()> {
    let (secured, _files) = secured().await?;
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&secured.ca));
    let channel = Endpoint::from_shared(secured.server.clone())?.tls_config(tls)?.connect().await?;
    let list = async |token: Option<&str>| -> Result<(), Status> {
        let mut request = Request::new(ListJobsRequest::default());
        if let Some(token) = token {
            let value = MetadataValue::try_from(format!("Bearer {token}"));
            request
                .metadata_mut()
                .insert("authorization", value.map_err(|error| Status::internal(error.to_string()))?);
        }
        JobServiceClient::new(channel.clone()).list_jobs(request).await.map(|_| ())
    };
    list(Some(TOKEN)).await?;
    for wrong in [None, Some("another-secret-of-some-length"), Some("a-secret-of-some-length-for-test")] {
        let status = list(wrong).await.expect_err("a stranger was let in");
        ensure!(status.code() == Code::Unauthenticated, "{status:?}");
        ensure!(!status.message().contains(TOKEN), "the answer gives the token away");
    }
    let plain = Endpoint::from_shared(secured.server.replace("https://", "http://"))?.connect().await;
    let answered = match plain {
        Ok(plain) => JobServiceClient::new(plain).list_jobs(ListJobsRequest::default()).await.is_ok(),
        Err(_) => false,
    };
    ensure!(!answered, "it is served without TLS");
    let server = secured.server.clone();
    let said = |args: &[&str]| output(&programs::punctual()?, args, &[("PUNCTUAL_SERVER", &server)]);
    let flags = ["--ca-cert", &secured.ca_file, "--token-file", &secured.token_file];
    let listed = said(&[&["job", "list"][..], &flags].concat())?;
    ensure!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let refused = said(&["job", "list", "--ca-cert", &secured.ca_file])?;
    ensure!(refused.status.code() == Some(5), "{refused:?}");
    secured.cluster.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_with_the_token_executes_runs_over_tls() -> anyhow::Result<()> {
    let (secured, _files) = secured().await?;
    let mut args = vec!["worker", "--server", &secured.server, "--allow-exec", "*"];
    args.extend(["--ca-cert", &secured.ca_file, "--token-file", &secured.token_file]);
    let lookups = secured.cluster.topology().addresses(Role::Lookup, "HTTP");
    args.extend(["--lookup-http-address", &lookups[0]]);
    let dir = secured.cluster.dir();
    let worker =
        punctual_tests::process::Process::start("secured-worker", &programs::punctual()?, args, dir)?;
    let flags =
        ["--server", &secured.server, "--ca-cert", &secured.ca_file, "--token-file", &secured.token_file];
    let create = [&["run", "create"][..], &flags, &["--", "/bin/true"]].concat();
    let created = output(&programs::punctual()?, &create, &[])?;
    ensure!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
    let succeeded = "select count(*) from punctual.job_history where state = 'succeeded'";
    until("the run to succeed", Duration::from_secs(15), async || {
        match secured.cluster.database().count(succeeded).await {
            Ok(1) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await?;
    drop(worker);
    secured.cluster.stop().await
}
