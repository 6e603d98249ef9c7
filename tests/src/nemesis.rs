//! Who brings the faults.

use std::time::Duration;

use punctual_verify::history::What;

use crate::cluster::Cluster;
use crate::recorder::Recorder;
use crate::topology::Member;

/// When to kill what.
#[derive(Debug, Clone)]
pub struct Plan {
    /// In turn, and from the start again.
    pub targets: Vec<Member>,
    /// From one kill to the next.
    pub every: Duration,
    /// How long a target stays down.
    pub down_for: Duration,
    /// No kill begins later than this.
    pub until: Duration,
}

/// Carries the plan out; every target serves again when this returns. Gives the number of kills.
///
/// # Errors
/// When a target had ended by itself, or does not come back.
pub async fn kill_in_turn(cluster: &mut Cluster, recorder: &Recorder, plan: &Plan) -> anyhow::Result<usize> {
    let mut pace = tokio::time::interval(plan.every);
    pace.tick().await; // the first is at once; peace reigns for one interval
    let started = tokio::time::Instant::now();
    let mut kills = 0;
    for target in plan.targets.iter().cycle() {
        pace.tick().await;
        if started.elapsed() > plan.until {
            break;
        }
        let nemesis = |on| What::Nemesis { fault: "kill -9".to_owned(), target: target.to_string(), on };
        recorder.record("nemesis", nemesis(true));
        cluster.kill(*target)?;
        kills += 1;
        tokio::time::sleep(plan.down_for).await;
        cluster.restart(*target).await?;
        recorder.record("nemesis", nemesis(false));
    }
    Ok(kills)
}
