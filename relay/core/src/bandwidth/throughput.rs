//! How much came, by the receiver's clock: a sliding half second.

/// Bytes that came in the last half second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Throughput {
    cells: [u32; CELLS],
    /// Which cell of time is the newest.
    newest: Option<i64>,
    sum: u64,
    /// Since packets have been coming without a break: first and last arrival, bytes after the first.
    spell: Option<(i64, i64, u64)>,
}

impl Throughput {
    pub(super) fn new() -> Self {
        Self { cells: [0; CELLS], newest: None, sum: 0, spell: None }
    }

    /// So many bytes came, at a time in microseconds.
    pub(super) fn add(&mut self, at: i64, bytes: u32) {
        self.spell = Some(match self.spell {
            Some((first, last, sum)) if at - last < BREAK_MICROS => {
                (first, last.max(at), sum.saturating_add(u64::from(bytes)))
            }
            _ => (at, at, 0),
        });
        let cell = at.div_euclid(CELL_MICROS);
        let newest = *self.newest.get_or_insert(cell);
        if cell > newest {
            for passed in (newest + 1..=cell).rev().take(CELLS) {
                self.sum -= u64::from(std::mem::take(&mut self.cells[index(passed)]));
            }
            self.newest = Some(cell);
        } else if newest - cell >= CELLS as i64 {
            return;
        }
        let cell = &mut self.cells[index(cell)];
        let bytes = bytes.min(u32::MAX - *cell);
        *cell += bytes;
        self.sum += u64::from(bytes);
    }

    /// Bits per second of what comes at present: since the last break when that is less than half a second ago. `None` while
    /// too little came to tell.
    pub(super) fn at_present(&self) -> Option<f64> {
        let (first, last, sum) = self.spell?;
        match last - first {
            lasted if lasted < SHORTEST_MICROS => None,
            lasted if lasted < CELLS as i64 * CELL_MICROS => Some(sum as f64 * 8e6 / lasted as f64),
            _ => Some(self.bits_per_second()),
        }
    }

    /// Bits per second over the half second; less in the first one.
    pub(super) fn bits_per_second(&self) -> f64 {
        self.sum as f64 * 8e6 / (CELLS as f64 * CELL_MICROS as f64)
    }
}

fn index(cell: i64) -> usize {
    cell.rem_euclid(CELLS as i64) as usize
}

const CELLS: usize = 20;
const CELL_MICROS: i64 = 25_000;
/// Longer than a camera's frame takes, and shorter than key frames are apart.
const BREAK_MICROS: i64 = 150_000;
const SHORTEST_MICROS: i64 = 30_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_steady_stream_has_its_rate() {
        let mut throughput = Throughput::new();
        for packet in 0..1_000 {
            throughput.add(-700_000 + packet * 10_000, 1_250);
        }
        assert!((throughput.bits_per_second() - 1e6).abs() < 3e4, "{}", throughput.bits_per_second());
        throughput.add(60_000_000, 1);
        assert!(throughput.bits_per_second() < 100.0, "after a long silence only what came now counts");
    }

    #[test]
    fn after_a_silence_it_is_what_comes_and_not_what_did_not() {
        let mut throughput = Throughput::new();
        for key_frame in 0..3 {
            for packet in 0..20 {
                throughput.add(key_frame * 4_000_000 + packet * 10_000, 1_250);
                let told = throughput.at_present();
                assert_eq!(told.is_some(), packet >= 3);
                assert!(told.is_none_or(|rate| (rate - 1e6).abs() < 1.0), "{told:?}");
            }
        }
        assert!(throughput.bits_per_second() < 5e5);
    }

    proptest! {
        #[test]
        fn any_times_are_taken(times in prop::collection::vec((any::<i32>(), any::<u32>()), 1..60)) {
            let mut throughput = Throughput::new();
            for (at, bytes) in times {
                throughput.add(i64::from(at) * 1000, bytes);
                prop_assert_eq!(throughput.cells.iter().map(|cell| u64::from(*cell)).sum::<u64>(), throughput.sum);
            }
        }
    }
}
