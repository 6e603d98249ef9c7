use crate::command::run;
use crate::fake::Fake;

#[tokio::test]
async fn task_queues_are_paused_resumed_and_listed() {
    let fake = Fake::start().await;
    let queue = async |words: &[&str]| run(&[&["task-queue", "--server", &fake.url], words].concat()).await;
    assert_eq!(queue(&["list"]).await.out, "No task queue has had work yet.\n");
    let paused = queue(&["pause", "reports", "mail", "--reason", "disk full"]).await;
    assert_eq!(paused.out, "paused reports\npaused mail\n");
    assert_eq!(queue(&["resume", "mail"]).await.out, "resumed mail\n");
    insta::assert_snapshot!(queue(&["list"]).await.out, @r"
    NAME     STATE   QUEUED  PLACES  SINCE                 WHY
    mail     active  3       8
    reports  paused  0       0       2026-12-01 09:00:00Z  disk full
    ");
    let json = queue(&["list", "-o", "json"]).await.json();
    assert_eq!(json[1]["pause_reason"], "disk full");
}
