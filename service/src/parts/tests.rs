use std::future::pending;

use super::*;

fn parts() -> (Parts, CancellationToken) {
    let shutdown = CancellationToken::new();
    (Parts::new(shutdown.clone()), shutdown)
}

async fn until(shutdown: CancellationToken) -> anyhow::Result<()> {
    shutdown.cancelled().await;
    Ok(())
}

#[tokio::test]
async fn no_parts_end_at_once() {
    parts().0.run().await.unwrap();
}

#[tokio::test]
async fn the_first_failure_stops_the_rest_and_names_its_part() {
    let (mut parts, shutdown) = parts();
    parts.add("listener", until(shutdown.clone()));
    parts.add("planner", async { Err(anyhow!("no database")) });
    let error = parts.run().await.unwrap_err();
    assert_eq!(format!("{error:#}"), "planner failed: no database");
    assert!(shutdown.is_cancelled());
}

#[tokio::test]
async fn a_failure_while_stopping_does_not_hide_the_first_one() {
    let (mut parts, shutdown) = parts();
    parts.add("listener", async move {
        shutdown.cancelled().await;
        Err(anyhow!("second"))
    });
    parts.add("planner", async { Err(anyhow!("first")) });
    assert_eq!(format!("{:#}", parts.run().await.unwrap_err()), "planner failed: first");
}

#[tokio::test]
async fn a_panic_stops_the_rest_and_tells_what_it_said() {
    let (mut parts, shutdown) = parts();
    parts.add("listener", until(shutdown));
    parts.add("planner", async { panic!("index {} is out of range", 7) });
    let error = parts.run().await.unwrap_err();
    assert_eq!(format!("{error:#}"), "planner failed: panicked: index 7 is out of range");
}

#[tokio::test]
async fn a_part_that_ends_well_stops_the_rest_without_a_failure() {
    let (mut parts, shutdown) = parts();
    parts.add("listener", until(shutdown.clone()));
    parts.add("demo", async { Ok(()) });
    parts.run().await.unwrap();
    assert!(shutdown.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_part_that_does_not_stop_is_aborted_at_the_deadline_and_named() {
    let (parts, shutdown) = parts();
    let mut parts = parts.drain_within(Duration::from_secs(5));
    parts.add("good", until(shutdown.clone()));
    parts.add("stuck", pending());
    parts.add("also stuck", pending());
    let started = Instant::now();
    shutdown.cancel();
    let error = parts.run().await.unwrap_err();
    assert_eq!(format!("{error:#}"), "also stuck, stuck did not stop within 5s");
    assert_eq!(started.elapsed().as_secs(), 5);
}
