//! What goes out when it falls due, and what becomes of it until it starts.

use chrono::TimeDelta;
use punctual_scheduler::store::{AdmitRequest, GoneReason, NewRun, OneOffRun, Redispatch, StartAnswer};
use punctual_scheduler_domain::attempt::AttemptOutcome;
use punctual_scheduler_domain::id::{RunId, Shard};
use punctual_scheduler_domain::job::{JobSpec, Overlap};
use punctual_scheduler_domain::run::RunState;
use uuid::Uuid;

use super::on_both_stores;
use super::world::{REPLICA, World, a_job, a_one_off, a_task, every, seconds};

on_both_stores!(
    nothing_is_admitted_early_but_what_may_overlap_by_the_lead_asked_for,
    a_run_that_would_overlap_is_skipped,
    a_retry_stands_in_the_way_and_is_never_skipped_itself,
    the_window_is_a_hundred_runs_until_workers_widen_it,
    a_kind_that_nobody_serves_waits_while_others_go_out,
    what_nobody_starts_goes_out_again_later_and_later,
    runs_of_a_lost_node_go_out_again_at_once,
    a_node_that_cannot_be_reached_gives_back_the_runs_of_the_asking_shards_only,
    another_node_is_stored_only_for_a_dispatch_that_still_stands,
    a_run_created_with_a_node_is_queued_at_once,
    each_call_takes_no_more_than_its_limit_and_says_so,
    what_is_taken_back_keeps_its_place_in_line,
    a_run_is_skipped_at_its_time_even_where_there_is_no_room,
    a_backlog_of_other_shards_hides_no_run_and_changes_no_order,
);

fn no_overlap() -> JobSpec {
    JobSpec { overlap: Overlap::Skip, ..a_job() }
}

async fn request(world: &World) -> AdmitRequest {
    let shards: Vec<_> = Shard::all().collect();
    let lanes = world.store.due_lanes(&shards).await.unwrap();
    let nodes = vec![world.node("one:4150", "a").await];
    AdmitRequest { publisher: REPLICA, shards, lanes, nodes, ahead: seconds(0), limit: 500 }
}

async fn nothing_is_admitted_early_but_what_may_overlap_by_the_lead_asked_for(world: World) {
    world.job("beside", every(seconds(4))).await;
    world.job("alone", JobSpec { overlap: Overlap::Skip, ..every(seconds(4)) }).await;
    world.plan().await;
    let due_at = world.runs_of("beside").await[0].due_at;
    world.set_now(due_at - TimeDelta::milliseconds(10));
    assert!(world.admit().await.dispatches.is_empty());
    let ahead = AdmitRequest { ahead: std::time::Duration::from_millis(50), ..request(&world).await };
    let admitted = world.store.admit_due_runs(&ahead).await.unwrap().dispatches;
    assert_eq!(admitted.iter().map(|d| (d.job.as_str(), d.run_at)).collect::<Vec<_>>(), [("beside", due_at)]);
    let session = world.worker(1).await;
    let answer = world.start(session, &admitted[0]).await;
    assert_eq!(answer, StartAnswer::NotDue(std::time::Duration::from_millis(10)));
    world.set_now(due_at);
    assert_eq!(world.granted(session, &admitted[0]).await.attempt.get(), 1);
    assert_eq!(world.admit_one().await.job, "alone");
}

async fn a_run_that_would_overlap_is_skipped(world: World) {
    world.job("alone", no_overlap()).await;
    let session = world.worker(10).await;
    let first = world.running("alone", session).await;
    let second = world.trigger("alone").await;
    let admitted = world.admit().await;
    assert_eq!((admitted.skipped, admitted.dispatches.len()), (1, 0));
    let skipped = world.run(second).await;
    assert_eq!((skipped.state, skipped.reason.as_str(), skipped.attempts), (RunState::Skipped, "overlap", 0));
    world.finish(session, &first, AttemptOutcome::Succeeded).await;
    // Two that fall due together: the older one runs.
    let third = world.trigger("alone").await;
    world.advance(seconds(1));
    let fourth = world.trigger("alone").await;
    assert_eq!(world.admit_one().await.run, third);
    assert_eq!(world.state(fourth).await, RunState::Skipped);
}

async fn a_retry_stands_in_the_way_and_is_never_skipped_itself(world: World) {
    world.job("alone", no_overlap()).await;
    let session = world.worker(10).await;
    let first = world.running("alone", session).await;
    world.finish(session, &first, AttemptOutcome::Failed).await;
    let second = world.trigger("alone").await;
    assert_eq!(world.admit().await.skipped, 1);
    assert_eq!(world.state(second).await, RunState::Skipped);
    let third = world.trigger("alone").await;
    world.advance(seconds(5));
    assert_eq!(world.admit_one().await.run, first.run);
    assert_eq!(world.state(third).await, RunState::Skipped);
}

async fn the_window_is_a_hundred_runs_until_workers_widen_it(world: World) {
    world.job("many", a_job()).await;
    for _ in 0..250 {
        world.trigger("many").await;
    }
    assert_eq!(world.admit().await.dispatches.len(), 100);
    assert_eq!(world.admit().await.dispatches.len(), 0);
    // Ninety places are worth 180.
    let session = world.worker(90).await;
    let more = world.admit().await.dispatches;
    assert_eq!(more.len(), 80);
    world.granted(session, &more[0]).await;
    assert_eq!(world.admit().await.dispatches.len(), 1, "a started run makes room");
    let all: u32 = world.store.queued_counts().await.unwrap().values().sum();
    assert_eq!(all, 180);
    // The owner of half of the shards has half of the window, which its runs fill already.
    let half = AdmitRequest { shards: Shard::all().take(32).collect(), ..request(&world).await };
    assert_eq!(world.store.admit_due_runs(&half).await.unwrap().dispatches.len(), 0);
}

async fn a_kind_that_nobody_serves_waits_while_others_go_out(world: World) {
    world.job("served", a_job()).await;
    world.job("unserved", JobSpec { task: a_task("rare"), ..a_job() }).await;
    let (served, unserved) = (world.trigger("served").await, world.trigger("unserved").await);
    let session = world.worker(1).await;
    assert_eq!(world.admit_one().await.run, served);
    assert_eq!(world.state(unserved).await, RunState::Scheduled);
    world.worker_for(1, &["rare"]).await;
    assert_eq!(world.admit_one().await.run, unserved);
    // With no worker at all any kind goes out, to wake somebody.
    world.advance(seconds(11));
    world.store.unregister_worker(session).await.unwrap();
    let again = world.trigger("unserved").await;
    assert_eq!(world.admit_one().await.run, again);
}

async fn what_nobody_starts_goes_out_again_later_and_later(world: World) {
    world.job("slow", a_job()).await;
    let run = world.trigger("slow").await;
    for (dispatch_seq, wait) in [(1, 30), (2, 60), (3, 120), (4, 240), (5, 480), (6, 900), (7, 900)] {
        let dispatch = world.admit_one().await;
        assert_eq!((dispatch.run, dispatch.dispatch_seq), (run, dispatch_seq));
        world.advance(seconds(wait) - std::time::Duration::from_micros(1));
        assert_eq!(world.reap_runs().await, 0, "dispatch {dispatch_seq}");
        world.advance(std::time::Duration::from_micros(1));
        assert_eq!(world.reap_runs().await, 1, "dispatch {dispatch_seq}");
        let session = world.worker(1).await;
        assert_eq!(world.start(session, &dispatch).await, StartAnswer::Gone(GoneReason::NotQueued));
        world.store.unregister_worker(session).await.unwrap();
    }
    let session = world.worker(1).await;
    let mut dispatch = world.admit_one().await;
    let current = dispatch.dispatch_seq;
    dispatch.dispatch_seq = 3;
    assert_eq!(world.start(session, &dispatch).await, StartAnswer::Gone(GoneReason::Superseded));
    dispatch.dispatch_seq = current;
    let grant = world.granted(session, &dispatch).await;
    assert_eq!((grant.attempt.get(), grant.tries_used), (1, 0), "waiting uses no try");
}

async fn runs_of_a_lost_node_go_out_again_at_once(world: World) {
    world.job("work", a_job()).await;
    let run = world.trigger("work").await;
    let dispatch = world.admit_one().await;
    assert!(world.store.node_lost(dispatch.node).await.unwrap());
    assert!(!world.store.node_lost(dispatch.node).await.unwrap(), "it is lost once");
    assert_eq!(world.store.requeue_lost(&[], &[], 100).await.unwrap().runs, 1);
    assert_eq!(world.state(run).await, RunState::Scheduled);
    // It answers again under the same identity, and then under another: its messages are gone.
    let second = world.admit_one().await;
    assert_eq!((second.node, second.dispatch_seq), (dispatch.node, 2));
    assert_eq!(world.store.requeue_lost(&[], &[], 100).await.unwrap().runs, 0);
    let reborn = world.node("one:4150", "b").await;
    assert_ne!(reborn, second.node);
    assert_eq!(world.store.requeue_lost(&[], &[], 100).await.unwrap().runs, 1);
    let third = world.admit_to(reborn).await.dispatches.remove(0);
    assert_eq!((third.run, third.node, third.dispatch_seq), (run, reborn, 3));
    assert_eq!(world.store.requeue_lost(&[], &[], 100).await.unwrap().runs, 0);
}

async fn a_node_that_cannot_be_reached_gives_back_the_runs_of_the_asking_shards_only(world: World) {
    let runs: Vec<_> = (0..40).map(|_| RunId(Uuid::now_v7())).collect();
    for run in &runs {
        world.create(NewRun::OneOff(Box::new(a_one_off(*run)))).await;
    }
    let node = world.admit().await.dispatches[0].node;
    let mine: Vec<_> = Shard::all().take(32).collect();
    let expected = runs.iter().filter(|run| mine.contains(&Shard::of_run(**run))).count();
    let moved = world.store.requeue_lost(&[node], &mine, 100).await.unwrap().runs;
    assert_eq!(moved, u32::try_from(expected).unwrap());
    for run in runs {
        let given_back = mine.contains(&Shard::of_run(run));
        let state = if given_back { RunState::Scheduled } else { RunState::Queued };
        assert_eq!(world.state(run).await, state);
    }
}

async fn another_node_is_stored_only_for_a_dispatch_that_still_stands(world: World) {
    world.job("work", a_job()).await;
    world.trigger("work").await;
    let first = world.admit_one().await;
    let other = world.node("two:4150", "b").await;
    let refused = Redispatch { run: first.run, dispatch_seq: first.dispatch_seq, node: other };
    let moved = world.store.redispatch(REPLICA, &[refused]).await.unwrap().remove(0);
    assert_eq!((moved.dispatch_seq, moved.node), (2, other));
    let again = Redispatch { dispatch_seq: 2, ..refused };
    let moved = world.store.redispatch(REPLICA, &[again]).await.unwrap().remove(0);
    assert!(world.store.redispatch(REPLICA, &[refused]).await.unwrap().is_empty(), "that dispatch is over");
    let session = world.worker(1).await;
    assert_eq!(world.start(session, &first).await, StartAnswer::Gone(GoneReason::Superseded));
    world.granted(session, &moved).await;
    let late = Redispatch { dispatch_seq: 3, ..refused };
    assert!(world.store.redispatch(REPLICA, &[late]).await.unwrap().is_empty(), "it has started");
}

async fn a_run_created_with_a_node_is_queued_at_once(world: World) {
    let node = world.node("one:4150", "a").await;
    let id = RunId(Uuid::now_v7());
    let run = OneOffRun { node: Some(node), ..a_one_off(id) };
    let created = world.store.create_runs(REPLICA, vec![NewRun::OneOff(Box::new(run))]).await.unwrap();
    let dispatch = created.into_iter().next().unwrap().unwrap().dispatch.expect("it is to be published");
    assert_eq!((dispatch.run, dispatch.dispatch_seq, dispatch.node), (id, 1, node));
    assert_eq!(world.state(id).await, RunState::Queued);
    let session = world.worker(1).await;
    assert_eq!(world.granted(session, &dispatch).await.payload, "{}");
    // One for later is not.
    let later = world.now() + TimeDelta::seconds(5);
    let id = RunId(Uuid::now_v7());
    world
        .create(NewRun::OneOff(Box::new(OneOffRun {
            node: Some(node),
            run_at: Some(later),
            ..a_one_off(id)
        })))
        .await;
    assert_eq!(world.state(id).await, RunState::Scheduled);
    assert!(world.admit().await.dispatches.is_empty());
    world.advance(seconds(5));
    assert_eq!(world.admit_one().await.run, id);
}

async fn each_call_takes_no_more_than_its_limit_and_says_so(world: World) {
    world.job("many", a_job()).await;
    for _ in 0..5 {
        world.trigger("many").await;
    }
    let mut taken = Vec::new();
    for (expected, more) in [(2, true), (2, true), (1, false), (0, false)] {
        let request = AdmitRequest { limit: 2, ..request(&world).await };
        let admitted = world.store.admit_due_runs(&request).await.unwrap();
        assert_eq!((admitted.dispatches.len(), admitted.more), (expected, more));
        taken.extend(admitted.dispatches.into_iter().map(|dispatch| dispatch.run));
    }
    let all: Vec<_> = world.runs_of("many").await.iter().map(|run| run.id).collect();
    taken.sort_unstable();
    assert_eq!(taken, all);
}

async fn what_is_taken_back_keeps_its_place_in_line(world: World) {
    world.job("work", a_job()).await;
    let mut runs = Vec::new();
    for _ in 0..150 {
        runs.push(world.trigger("work").await);
        world.advance(std::time::Duration::from_millis(1));
    }
    for dispatch_seq in [1, 2] {
        let dispatches = world.admit().await.dispatches;
        let admitted: Vec<_> = dispatches.iter().map(|dispatch| dispatch.run).collect();
        assert_eq!(admitted, runs[..100], "those that fell due first");
        assert!(dispatches.iter().all(|dispatch| dispatch.dispatch_seq == dispatch_seq));
        world.advance(seconds(60));
        assert_eq!(world.reap_runs().await, 100);
    }
}

async fn a_run_is_skipped_at_its_time_even_where_there_is_no_room(world: World) {
    world.job("alone", no_overlap()).await;
    let session = world.worker(1).await;
    world.running("alone", session).await;
    world.job("many", a_job()).await;
    for _ in 0..100 {
        world.trigger("many").await;
    }
    assert_eq!(world.admit().await.dispatches.len(), 100);
    let late = world.trigger("alone").await;
    assert_eq!(world.admit().await.skipped, 1);
    assert_eq!(world.state(late).await, RunState::Skipped);
}

async fn a_backlog_of_other_shards_hides_no_run_and_changes_no_order(world: World) {
    // A window that two shards' part of has room.
    world.worker(1000).await;
    for (kind, spec) in [("beside", a_job()), ("alone", no_overlap())] {
        let theirs = world.job(&format!("{kind}-theirs"), spec.clone()).await;
        for _ in 0..50 {
            world.trigger(&format!("{kind}-theirs")).await;
        }
        // Two more that are in one replica's shards, in an order that is not that of the shards.
        let mut ours = Vec::new();
        while ours.len() < 2 {
            let name = format!("{kind}-{}", Uuid::now_v7());
            let shard = Shard::of_job(world.job(&name, spec.clone()).await);
            if shard != Shard::of_job(theirs) && ours.last().is_none_or(|(_, last)| shard < *last) {
                ours.push((name, shard));
            }
        }
        let mut expected = Vec::new();
        for (name, _) in &ours {
            world.advance(seconds(1));
            expected.push(world.trigger(name).await);
        }
        let shards: Vec<_> = ours.into_iter().map(|(_, shard)| shard).collect();
        let lanes = world.store.due_lanes(&shards).await.unwrap();
        assert_eq!(lanes[0].first_run_at, world.run(expected[0]).await.run_at);
        for run in expected {
            let request = AdmitRequest { shards: shards.clone(), limit: 1, ..request(&world).await };
            let admitted = world.store.admit_due_runs(&request).await.unwrap().dispatches;
            assert_eq!(admitted.iter().map(|dispatch| dispatch.run).collect::<Vec<_>>(), [run], "{kind}");
        }
    }
}

/// An end that is being written has its instant already; a run due after that instant is not in its way.
#[sqlx::test(migrator = "punctual_scheduler::MIGRATOR")]
async fn a_run_is_not_skipped_for_one_whose_end_is_being_written(pool: sqlx::PgPool) {
    let world = World::postgres(pool.clone()).await;
    world.job("alone", no_overlap()).await;
    let session = world.worker(10).await;
    let first = world.running("alone", session).await;
    let second = world.trigger("alone").await;

    let mut ending = pool.begin().await.unwrap();
    let locked = sqlx::query("select from punctual.run_live where id = $1 for update").bind(first.run.0);
    assert_eq!(locked.execute(&mut *ending).await.unwrap().rows_affected(), 1);
    let admitted = world.admit().await;
    assert_eq!((admitted.skipped, admitted.waiting, admitted.dispatches.len()), (0, 1, 0));
    assert_eq!(world.state(second).await, RunState::Scheduled);

    // It was not the end after all: the first run is still there, and nobody is at its row.
    ending.rollback().await.unwrap();
    let admitted = world.admit().await;
    assert_eq!((admitted.skipped, admitted.waiting), (1, 0));
    world.finish(session, &first, AttemptOutcome::Succeeded).await;
}
