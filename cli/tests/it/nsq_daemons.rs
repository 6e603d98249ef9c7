use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;

use crate::command::{end_of, run};
use crate::nsq::{Installed, NAMES};

#[tokio::test]
async fn every_name_tells_its_version_its_flags_and_a_flag_it_does_not_have() {
    let installed = Installed::new().await;
    for name in NAMES {
        for form in ["-version", "--version"] {
            let ended = installed.run(name, &[form]).await;
            let expect = format!("{name} v1.3.0 (built w/punctual {})\n", env!("CARGO_PKG_VERSION"));
            assert_eq!((ended.code, ended.out.as_str()), (0, expect.as_str()));
        }
        if name == "nsqadmin" {
            continue; // see below
        }
        let ended = installed.run(name, &["-nonsense"]).await;
        assert_eq!(ended.code, 2, "{ended:?}");
        assert_eq!(ended.err.lines().next(), Some("flag provided but not defined: -nonsense"));
        let ended = installed.run(name, &["-h"]).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(ended.err.starts_with(&format!("Usage of {name}:\n  -")), "{ended:?}");
    }
    let ended = installed.run("nsqadmin", &["--lookupd-http-address=127.0.0.1:4161"]).await;
    assert_eq!(ended.code, 1);
    assert!(ended.err.starts_with("error: this release has no nsqadmin"), "{ended:?}");
}

#[tokio::test]
async fn nsqd_takes_its_settings_from_the_command_line_and_from_a_file() {
    let installed = Installed::new().await;
    let config = installed.path().join("nsqd.cfg");
    let settings = "broadcast_address = 'of-the-file'\nmsg_timeout = '45s'\n\
                    nsqlookupd_tcp_addresses = ['127.0.0.1:1']\nmax_bytes_per_file = 0\nmem_queue_size = 7\ncolour = 'blue'\n";
    fs::write(&config, settings).unwrap();
    let config = format!("-config={}", config.display());
    let words =
        [&*config, "--broadcast-address", "of-the-line", "-sync-every=1", "--verbose", "--snappy=false"];
    let nsqd = installed.nsqd("data", &words).await;
    let info = nsqd.get("/info").await;
    assert_eq!(info["broadcast_address"], "of-the-line");
    assert_eq!(nsqd.get("/config/msg_timeout").await, 45_000_000_000_u64);
    assert_eq!(nsqd.get("/config/mem_queue_size").await, 7);
    assert_eq!(nsqd.get("/config/nsqlookupd_tcp_addresses").await, serde_json::json!(["127.0.0.1:1"]));

    let warned = |text: &str| nsqd.beginning.iter().filter(|line| line.contains(text)).count();
    assert_eq!(warned("\"max-bytes-per-file\", \"sync-every\", \"verbose\""), 1, "{:?}", nsqd.beginning);
    assert_eq!(warned("\"colour\""), 1, "{:?}", nsqd.beginning);
    assert_eq!(warned("other machines"), 0, "it listens on loopback only: {:?}", nsqd.beginning);
    assert!(nsqd.beginning.iter().all(|line| line.starts_with("[nsqd] ")), "{:?}", nsqd.beginning);
    assert!(nsqd.stop(Signal::SIGTERM).await.success());
}

#[tokio::test]
async fn the_process_that_is_started_serves_and_nothing_hinders_the_next() {
    let installed = Installed::new().await;
    let nsqd = installed.nsqd("data", &[]).await;
    let lock = installed.path().join("data/lock");
    assert_eq!(fs::read_to_string(&lock).unwrap().trim(), nsqd.pid().to_string());
    nsqd.publish("orders", "one").await;

    let mut second = installed.command("nsqd");
    second.args(["-tcp-address=127.0.0.1:0", "-http-address=127.0.0.1:0"]);
    let second = end_of(second.current_dir(installed.path().join("data")), "").await;
    assert_eq!(second.code, 1);
    assert!(second.err.contains(&format!("is in use by process {}", nsqd.pid())), "{second:?}");

    assert!(!nsqd.stop(Signal::SIGKILL).await.success());
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let nsqd = installed.nsqd("data", &[]).await;
        let stats = nsqd.get("/stats?format=json&topic=orders").await;
        assert_eq!(stats["topics"][0]["depth"], 1, "{stats}");
        assert!(nsqd.stop(signal).await.success());
    }
}

#[tokio::test]
async fn nsqd_does_not_start_with_what_it_cannot_do() {
    let installed = Installed::new().await;
    let data = installed.path().join("left");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("nsqd.dat"), r#"{"topics":[],"version":"1.3.0"}"#).unwrap();
    let data_path = format!("-data-path={}", data.display());
    let words = ["-tcp-address=127.0.0.1:0", "-http-address=127.0.0.1:0", &data_path];

    let ended = installed.run("nsqd", &[&words[..], &["-node-id=1024"]].concat()).await;
    assert_eq!((ended.code, ended.err.as_str()), (1, "error: node-id must be [0,1024)\n"));
    let ended = installed.run("nsqd", &[&words[..], &["-config=/nonexistent.cfg"]].concat()).await;
    assert_eq!(ended.code, 1);
    assert!(ended.err.starts_with("error: failed to load config file /nonexistent.cfg"), "{ended:?}");

    let nsqd = installed.nsqd("elsewhere", &[&data_path]).await;
    let warned = nsqd.beginning.iter().any(|line| line.contains("are not taken over"));
    assert!(warned, "{:?}", nsqd.beginning);
    assert!(nsqd.stop(Signal::SIGTERM).await.success());

    fs::write(data.join("orders:mail.diskqueue.meta.dat"), "2\n0,0\n0,90\n").unwrap();
    let ended = installed.run("nsqd", &words).await;
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("holds messages of NSQ's own nsqd"), "{ended:?}");
    assert!(ended.err.contains("(orders:mail: 2)"), "{ended:?}");
}

#[tokio::test]
async fn links_are_made_to_the_binary_and_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let made = run(&["queue", "install-links", dir, "-o", "json"]).await.json();
    assert_eq!(made.as_array().unwrap().len(), NAMES.len());
    assert!(made.as_array().unwrap().iter().all(|link| link["done"] == "made"), "{made}");
    let target = fs::read_link(folder.path().join("nsqd")).unwrap();
    assert_eq!(target, fs::canonicalize(env!("CARGO_BIN_EXE_punctual")).unwrap());

    let again = run(&["queue", "install-links", dir]).await;
    assert_eq!(again.code, 0);
    assert_eq!(
        again.out.lines().filter(|line| line.ends_with("unchanged")).count(),
        NAMES.len(),
        "{again:?}"
    );

    fs::remove_file(folder.path().join("to_nsq")).unwrap();
    fs::write(folder.path().join("to_nsq"), "somebody's").unwrap();
    let refused = run(&["queue", "install-links", dir]).await;
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains(&format!("{dir}/to_nsq;")), "{refused:?}");
    let missing = run(&["queue", "install-links", "/nonexistent/bin"]).await;
    assert_eq!(missing.code, 1, "{missing:?}");
    assert!(!Path::new("/nonexistent").exists());
}

#[tokio::test]
async fn a_socket_file_goes_with_its_nsqd_and_one_left_by_a_kill_hinders_nobody() {
    let installed = Installed::new().await;
    let socket = installed.path().join("nsqd.sock");
    let tcp_address = format!("--tcp-address={}", socket.display());
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let nsqd = installed.nsqd("data", &[&tcp_address]).await;
        assert!(tokio::net::UnixStream::connect(&socket).await.is_ok());
        nsqd.stop(signal).await;
        assert_eq!(socket.exists(), signal == Signal::SIGKILL);
    }
}
