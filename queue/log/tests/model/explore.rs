//! How many schedules of a scenario are looked at, and which.

use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};

/// Carries out `scenario` under schedules chosen at random, and under such that switch threads at a few places only,
/// which is where most mistakes show. One that fails is printed, to be handed to `shuttle::replay`.
pub(crate) fn explore(scenario: impl Fn() + Send + Sync + Copy + 'static) {
    let schedules = if is_full() { 200_000 } else { 4_000 };
    run(RandomScheduler::new(schedules), scenario);
    for switches in 1..=4 {
        run(PctScheduler::new(switches, schedules / 4), scenario);
    }
}

/// Carries out `scenario` under every schedule there is; says how many those are.
pub(crate) fn explore_all(scenario: impl Fn() + Send + Sync + 'static) -> usize {
    run(DfsScheduler::new(None, false), scenario)
}

fn run(scheduler: impl Scheduler + 'static, scenario: impl Fn() + Send + Sync + 'static) -> usize {
    let mut config = Config::new();
    config.stack_size = 256 * 1024;
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(scenario)
}

fn is_full() -> bool {
    std::env::var_os("PUNCTUAL_TEST_FULL").is_some()
}
