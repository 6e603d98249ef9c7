//! `punctual calendar` and `punctual namespace`.

use serde_json::json;

use crate::command::run;
use crate::fake::Fake;

#[tokio::test]
async fn calendars_are_imported_listed_shown_and_deleted() {
    let fake = Fake::start().await;
    let calendar = async |words: &[&str]| run(&[&["calendar", "--server", &fake.url], words].concat()).await;
    assert_eq!(
        calendar(&["list"]).await.out,
        "No calendars yet. Make one with: punctual calendar import NAME FILE.ics\n"
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n").unwrap();
    let path = file.path().to_str().unwrap();
    let imported = calendar(&["import", "holidays", path]).await;
    assert_eq!(imported.out, "imported holidays: 0 days and 1 events\n", "{imported:?}");
    let kept = fake.state.lock().unwrap().calendars["holidays"].events[0].rule.clone();
    assert_eq!(kept, "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", "as it was in the file");

    let days = ["import", "closed", "--day", "2026-12-24", "--day", "2026-12-31"];
    assert_eq!(calendar(&days).await.out, "imported closed: 2 days and 0 events\n");
    let shown = calendar(&["get", "closed", "-o", "json"]).await.json();
    assert_eq!(shown[0]["days"], json!(["2026-12-24", "2026-12-31"]));
    insta::assert_snapshot!(calendar(&["get", "closed"]).await.out, @r"
    Name:       closed
    Namespace:
    Updated:
    Day:        2026-12-24
    Day:        2026-12-31
    ");
    let listed = calendar(&["list", "-o", "json"]).await.json();
    assert_eq!((&listed[0]["name"], &listed[1]["name"]), (&json!("closed"), &json!("holidays")));
    assert_eq!(calendar(&["delete", "closed"]).await.out, "deleted closed\n");
    assert_eq!(calendar(&["get", "closed"]).await.code, 3);

    for (words, says) in [
        (&["import", "x"][..], "<FILE>"),
        (&["import", "x", path, "--day", "2026-12-24"], "cannot be used with"),
        (&["import", "x", "/no/such/file.ics"], "cannot read /no/such/file.ics"),
    ] {
        let ended = calendar(words).await;
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.err.contains(says), "{ended:?}");
    }
}

#[tokio::test]
async fn namespaces_are_created_listed_and_deleted() {
    let fake = Fake::start().await;
    let namespace =
        async |words: &[&str]| run(&[&["namespace", "--server", &fake.url], words].concat()).await;
    let created = namespace(&["create", "tenant-7", "--keep-success", "short"]).await;
    assert_eq!(created.out, "created tenant-7\n", "{created:?}");
    insta::assert_snapshot!(namespace(&["list"]).await.out, @r"
    NAME      KEEP SUCCESS  KEEP FAILURE  CREATED
    tenant-7  short         default
    ");
    assert_eq!(namespace(&["delete", "tenant-7"]).await.out, "deleted tenant-7\n");
    assert_eq!(namespace(&["delete", "tenant-7"]).await.code, 3);
    assert_eq!(namespace(&["create", "x", "--keep-failure", "ages"]).await.code, 2);
}
