//! What the end-to-end encryption costs: frames from 160 bytes to 200 KB, checkpoints, and groups of 2 to 64 members.
//!
//! ```text
//! cargo bench -p latchkey-e2ee                   # all rows, about a minute
//! cargo bench -p latchkey-e2ee -- frames         # only rows whose kind is named: frames, checkpoints, groups
//! ```
//!
//! Each row is one line of `key=value`. Times are the median of several rounds on one thread; the slowest round is beside
//! it where the machine had other work. Bytes are exact. Nothing fails on a time.
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::unwrap_used)] // a bench reads the clock and prints

mod checkpoints;
mod frames;
mod groups;
#[path = "../../tests/household/mod.rs"]
mod household;

use std::time::{Duration, Instant};

fn main() {
    let wanted: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let kinds: [(&str, fn()); 3] =
        [("frames", frames::rows), ("checkpoints", checkpoints::rows), ("groups", groups::rows)];
    for (kind, rows) in kinds {
        if wanted.is_empty() || wanted.iter().any(|named| named == kind) {
            rows();
        }
    }
}

/// How long one call takes in each of several rounds, the fastest first.
struct Times(Vec<Duration>);

impl Times {
    /// Calls `work` so often per round that a round takes 20 ms.
    fn of(mut work: impl FnMut()) -> Self {
        let begin = Instant::now();
        work();
        let calls = (ROUND.as_nanos() / begin.elapsed().as_nanos().max(1)).clamp(1, 100_000) as u32;
        let round = |_| {
            let begin = Instant::now();
            (0..calls).for_each(|_| work());
            begin.elapsed() / calls
        };
        Self::sorted((0..ROUNDS).map(round).collect())
    }

    fn sorted(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    fn median(&self) -> Duration {
        self.0[self.0.len() / 2]
    }

    fn us(&self) -> f64 {
        self.median().as_secs_f64() * 1e6
    }

    fn ms(&self) -> f64 {
        self.median().as_secs_f64() * 1e3
    }

    fn slowest_us(&self) -> f64 {
        self.0.last().map_or(0.0, |slowest| slowest.as_secs_f64() * 1e6)
    }
}

const ROUND: Duration = Duration::from_millis(20);
const ROUNDS: usize = 25;
