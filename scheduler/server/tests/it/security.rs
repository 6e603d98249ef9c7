//! Tokens and TLS.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use punctual_proto::v1;
use punctual_proto::v1::job_service_client::JobServiceClient;
use sqlx::PgPool;
use tonic::Code;
use tonic::metadata::MetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::front::{Front, options};

const TOKEN: &str = "correct-horse-battery-staple";

fn token_file(dir: &Path) -> PathBuf {
    let path = dir.join("tokens");
    std::fs::write(&path, format!("# ours\n{TOKEN}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn list_with(authorization: Option<&str>) -> tonic::Request<v1::ListJobsRequest> {
    let mut request = tonic::Request::new(v1::ListJobsRequest::default());
    if let Some(value) = authorization {
        request.metadata_mut().insert("authorization", MetadataValue::try_from(value).unwrap());
    }
    request
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn with_a_token_file_only_health_answers_without_a_token(pool: PgPool) {
    let dir = tempfile::tempdir().unwrap();
    let front = Front::with(punctual_scheduler::SchedulerOptions {
        token_file: Some(token_file(dir.path())),
        ..options(&pool)
    })
    .await;
    let mut jobs = front.jobs();
    for wrong in [None, Some("Bearer wrong-horse-battery-staple"), Some(TOKEN)] {
        let status = jobs.list_jobs(list_with(wrong)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{wrong:?}");
    }
    jobs.list_jobs(list_with(Some(&format!("Bearer {TOKEN}")))).await.unwrap();

    let health = HealthClient::new(front.channel()).check(HealthCheckRequest::default()).await;
    assert!(health.is_ok(), "{health:?}");
    let status = async |path: &str, token: Option<&str>| {
        let mut request = reqwest::Client::new().get(format!("{}{path}", front.url));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status("/livez", None).await, 200);
    assert_eq!(status("/readyz", None).await, 503, "no queue node is there");
    assert_eq!(status("/metrics", None).await, 401);
    assert_eq!(status("/v1/jobs", None).await, 401);
    assert_eq!(status("/v1/jobs", Some(TOKEN)).await, 200);
}

#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn with_a_certificate_the_port_speaks_tls_and_nothing_else(pool: PgPool) {
    punctual_service::tls::install_crypto_provider();
    let dir = tempfile::tempdir().unwrap();
    let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&cert, identity.cert.pem()).unwrap();
    std::fs::write(&key, identity.signing_key.serialize_pem()).unwrap();
    let mut options = options(&pool);
    options.tls.tls_cert = Some(cert);
    options.tls.tls_key = Some(key);
    let front = Front::with(options).await;

    let ca = Certificate::from_pem(identity.cert.pem());
    let tls = ClientTlsConfig::new().ca_certificate(ca).domain_name("localhost");
    let url = front.url.replace("http://", "https://");
    let channel = Channel::from_shared(url).unwrap().tls_config(tls).unwrap().connect().await.unwrap();
    JobServiceClient::new(channel).list_jobs(v1::ListJobsRequest::default()).await.unwrap();

    let plain = front.jobs().list_jobs(v1::ListJobsRequest::default()).await;
    assert!(plain.is_err(), "{plain:?}");
    front.stop().await;
}
