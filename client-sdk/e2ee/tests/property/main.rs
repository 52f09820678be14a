//! Whatever happens in whatever order, the household finds together again, and no key or counter is where it must not be.
//!
//! Each run takes one camera, its admins and phones and an honest server through a random sequence of small steps:
//! devices come, go and expire, two admins sign at once, processes end between any two steps, answers get lost,
//! messages come late, early, twice or not yet. Members send each other notes, the camera signs records and checkpoints:
//! no key of a note is used twice, every record is what each member's own group says, nobody is told of forged frames. `PROPTEST_CASES` runs are made, 300 where it is not set; a failure
//! prints the seed and the shortest sequence of steps that leads to it.

#![allow(unreachable_pub, clippy::unwrap_used, clippy::print_stdout)]

mod camera;
mod checker;
mod device;
mod faults;
mod lists;
mod notes;
mod server;
mod step;
mod viewer;
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
    let sum = Cell::new(Seen::default());
    let held = TestRunner::new(config).run(&steps(LONGEST), |steps| {
        let seen = run(&steps).map_err(TestCaseError::fail)?;
        let before = sum.get();
        sum.set(Seen {
            epochs: before.epochs + seen.epochs,
            frames: before.frames + seen.frames,
            notes: before.notes + seen.notes,
            notes_read: before.notes_read + seen.notes_read,
            records: before.records + seen.records,
            signed: before.signed + seen.signed,
        });
        Ok(())
    });
    if let Err(failure) = held {
        panic!("seed {seed} (PROPTEST_RNG_SEED): {failure}");
    }
    let Seen { epochs, frames, notes, notes_read, records, signed } = sum.get();
    println!(
        "property: seed={seed} cases={cases} epochs={epochs} frames={frames} notes={notes} notes_read={notes_read} records_checked={records} frames_signed={signed} violations=0"
    );
    if cases >= CASES {
        assert!([notes, notes_read, records].into_iter().all(|seen| seen > 0) && signed > 0);
    }
}

/// Takes all steps and lets everybody find together.
fn run(steps: &[Step]) -> Result<Seen, String> {
    World::found()?.live(steps)
}

/// Runs where `PROPTEST_CASES` does not say how many.
const CASES: u32 = 300;
/// Steps of the longest run.
const LONGEST: usize = 120;
