//! Whatever happens in whatever order, the household finds together again, and no key or counter is where it must not be.
//!
//! Each run takes one camera, its admins and phones and an honest server through a random sequence of small steps:
//! devices come, go and expire, two admins sign at once, processes end between any two steps, answers get lost,
//! messages come late, early, twice or not yet. `PROPTEST_CASES` runs are made, 300 where it is not set; a failure
//! prints the seed and the shortest sequence of steps that leads to it.

#![allow(unreachable_pub, clippy::unwrap_used, clippy::print_stdout)]

mod camera;
mod checker;
mod device;
mod faults;
mod lists;
mod server;
mod step;
mod world;

use std::cell::Cell;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};

use checker::Seen;
use step::{Step, steps};
use world::World;

#[test]
fn members_converge_no_nonce_repeats_and_the_removed_open_nothing() {
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { Config::default().cases } else { CASES };
    let seed = match Config::default().rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => RandomState::new().build_hasher().finish(),
    };
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        max_shrink_iters: 2_000,
        failure_persistence: None,
        ..Config::default()
    };
    let (frames, epochs) = (Cell::new(0), Cell::new(0));
    let held = TestRunner::new(config).run(&steps(LONGEST), |steps| {
        let seen = run(&steps).map_err(TestCaseError::fail)?;
        frames.set(frames.get() + seen.frames);
        epochs.set(epochs.get() + seen.epochs);
        Ok(())
    });
    if let Err(failure) = held {
        panic!("seed {seed} (PROPTEST_RNG_SEED): {failure}");
    }
    let (frames, epochs) = (frames.get(), epochs.get());
    println!("property: seed={seed} cases={cases} epochs={epochs} frames={frames} violations=0");
}

/// Takes all steps and lets everybody find together.
fn run(steps: &[Step]) -> Result<Seen, String> {
    World::found()?.live(steps)
}

/// Runs where `PROPTEST_CASES` does not say how many.
const CASES: u32 = 300;
/// Steps of the longest run.
const LONGEST: usize = 120;
