//! TLS where nodes register.

use punctual_queue_lookup::{lookup::Lookup, options::LookupOptions};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::lookup::{Node, PATIENCE, Running, options};

/// A certificate, its key and an authority in files, as flags name them.
struct Files {
    _dir: TempDir,
    cert: String,
    key: String,
    roots: String,
}

impl Files {
    fn new() -> anyhow::Result<Self> {
        let dir = TempDir::new()?;
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let file = |name: &str, content: String| {
            let path = dir.path().join(name);
            std::fs::write(&path, content)?;
            anyhow::Ok(path.display().to_string())
        };
        let cert = file("cert.pem", made.cert.pem())?;
        let key = file("key.pem", made.signing_key.serialize_pem())?;
        let roots = file("roots.pem", made.cert.pem())?;
        Ok(Self { cert, key, roots, _dir: dir })
    }

    fn flags(&self) -> [&str; 4] {
        ["--tls-cert", &self.cert, "--tls-key", &self.key]
    }
}

#[tokio::test]
async fn a_node_that_talks_in_the_clear_is_not_taken() -> anyhow::Result<()> {
    let files = Files::new()?;
    let lookup = Running::start(&files.flags()).await?;
    let mut node = Node::connect(&lookup).await?;
    node.stream.write_all(b"PING\n").await?;
    let mut said = Vec::new();
    // Closed or reset: that it ends is what counts.
    let _ended = timeout(PATIENCE, node.stream.read_to_end(&mut said)).await?;
    assert!(!said.starts_with(b"\0\0"), "an alert of TLS at most, and no answer: {}", said.escape_ascii());
    assert_eq!(lookup.get("/ping").await?.1, "OK");
    Ok(())
}

#[tokio::test]
async fn half_a_configuration_is_refused() -> anyhow::Result<()> {
    let files = Files::new()?;
    let refused = async |flags: &[&str]| match Lookup::bind(options(flags)).await {
        Err(error) => Ok(error.to_string()),
        Ok(_) => anyhow::bail!("{flags:?} is taken"),
    };
    let [cert_flag, cert, key_flag, key] = files.flags();
    assert_eq!(refused(&[cert_flag, cert]).await?, "--tls-cert needs --tls-key beside it");
    assert_eq!(refused(&[key_flag, key]).await?, "--tls-key needs --tls-cert beside it");
    let roots = ["--tls-root-ca-file", &files.roots];
    assert_eq!(refused(&roots).await?, "--tls-root-ca-file needs --tls-cert and --tls-key beside it");
    let nowhere = [&files.flags()[..], &["--tls-root-ca-file", "/nowhere.pem"]].concat();
    assert_eq!(refused(&nowhere).await?, "could not read /nowhere.pem (--tls-root-ca-file)");
    Ok(())
}

#[tokio::test]
async fn nodes_that_show_who_they_are_may_come_from_anywhere() -> anyhow::Result<()> {
    let files = Files::new()?;
    let everywhere =
        |flags: &[&str]| LookupOptions { tcp_address: ([0, 0, 0, 0], 0).into(), ..options(flags) };
    let asked = [&files.flags()[..], &["--tls-root-ca-file", &files.roots]].concat();
    Lookup::bind(everywhere(&asked)).await?;
    let refused = Lookup::bind(everywhere(&files.flags())).await.err().map(|error| error.to_string());
    assert!(refused.as_ref().is_some_and(|text| text.contains("0.0.0.0:0")), "{refused:?}");
    Ok(())
}
