use super::*;

struct Files {
    dir: tempfile::TempDir,
    args: TlsArgs,
}

impl Files {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        Self { dir, args: TlsArgs { tls_cert: Some(cert), tls_key: Some(key) } }
    }

    fn with(mut self, change: impl FnOnce(&mut TlsArgs, &Path)) -> Self {
        change(&mut self.args, self.dir.path());
        self
    }

    fn error(&self) -> String {
        let text = self.args.load().unwrap_err().to_string();
        text.replace(&self.dir.path().display().to_string(), "DIR")
    }
}

#[test]
fn a_certificate_and_its_key_are_loaded_as_they_are() {
    let files = Files::new();
    let identity = files.args.load().unwrap().expect("both are given");
    assert_eq!(identity.cert_pem(), std::fs::read(files.args.tls_cert.as_ref().unwrap()).unwrap());
    assert_eq!(identity.server_config(&["h2"]).alpn_protocols, [b"h2"]);
    assert!(!format!("{identity:?}").contains("PRIVATE"));
}

#[test]
fn no_files_mean_no_tls() {
    assert!(TlsArgs::default().load().unwrap().is_none());
}

#[test]
fn a_lone_file_asks_for_the_other() {
    let error = Files::new().with(|args, _| args.tls_key = None).error();
    assert_eq!(error, "--tls-cert needs --tls-key beside it");
    let error = Files::new().with(|args, _| args.tls_cert = None).error();
    assert_eq!(error, "--tls-key needs --tls-cert beside it");
}

#[test]
fn a_missing_file_is_named() {
    let error = Files::new().with(|args, dir| args.tls_key = Some(dir.join("none.pem"))).error();
    assert_eq!(error, "could not read DIR/none.pem (--tls-key)");
}

#[test]
fn a_file_without_a_certificate_is_named() {
    let error = Files::new().with(|args, _| args.tls_cert = args.tls_key.clone()).error();
    assert_eq!(error, "DIR/key.pem (--tls-cert) holds no certificate");
}

#[test]
fn a_file_without_a_key_is_named() {
    let error = Files::new().with(|args, _| args.tls_key = args.tls_cert.clone()).error();
    assert_eq!(error, "DIR/cert.pem (--tls-key) is not the PEM file it should be");
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let other = Files::new();
    let error = Files::new().with(|args, _| args.tls_key = other.args.tls_key.clone()).error();
    assert!(error.starts_with("certificate DIR/cert.pem and key "), "{error}");
    assert!(error.ends_with(" cannot be used together"), "{error}");
}
