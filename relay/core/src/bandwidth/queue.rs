//! Whether packets stand in a queue: even the quickest of late took clearly longer than the path takes at best.
//!
//! Single packets take longer for many reasons (a radio that tries again, a thread that was not scheduled), and what they hold
//! up comes with them. In a queue that stands none is quick (as in RFC 8289 section 3), so the least delay of a stretch tells.

/// Follows the least delay of one path, lately and in the long run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue {
    /// Quickest of the stretch at hand and of the one before.
    present: Stretch,
    before: Option<f64>,
    /// Quickest of this spell and of the one before, and when this one began.
    best: Option<(f64, f64, i64)>,
    /// Milliseconds by which delays usually differ from their mean.
    jitter: f64,
}

/// Packets in a row.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    quickest: f64,
    count: u32,
    since: i64,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            present: Stretch { quickest: f64::INFINITY, count: 0, since: i64::MIN },
            before: None,
            best: None,
            jitter: 0.0,
        }
    }

    /// A burst took so many milliseconds more than the first one; smoothed, bursts take `mean`. `arrival`: in microseconds.
    pub(super) fn took(&mut self, delay: f64, mean: f64, arrival: i64) {
        self.jitter += ((delay - mean).abs().min(MOST_JITTER) - self.jitter) * JITTER_GAIN;
        let Stretch { quickest, count, since } = self.present;
        self.present = if count >= FEWEST && arrival - since >= STRETCH_MICROS {
            self.before = Some(quickest);
            Stretch { quickest: delay, count: 1, since: arrival }
        } else {
            Stretch {
                quickest: quickest.min(delay),
                count: count + 1,
                since: if count == 0 { arrival } else { since },
            }
        };
        let (best, before, since) = self.best.unwrap_or((delay, delay, arrival));
        self.best = Some(if arrival - since > SPELL_MICROS {
            (delay, best, arrival)
        } else {
            (best.min(delay), before, since)
        });
    }

    /// For a stretch at least no packet was quick. A full queue does not grow any more, but it stands.
    pub(super) fn stands(&self) -> bool {
        let (Some(before), Some((best, best_before, _))) = (self.before, self.best) else { return false };
        before.min(self.present.quickest) - best.min(best_before) > QUEUE_MILLIS + self.jitter
    }
}

/// The queues of routers are longer.
const QUEUE_MILLIS: f64 = 25.0;
/// A stretch has so many bursts and takes so long, lest a path that stood still be taken for one with a queue.
const FEWEST: u32 = 8;
const STRETCH_MICROS: i64 = 300_000;
/// A path may have become longer.
const SPELL_MICROS: i64 = 10_000_000;
/// What is more is no jitter.
const MOST_JITTER: f64 = 50.0;
const JITTER_GAIN: f64 = 0.02;

#[cfg(test)]
mod tests {
    use super::*;

    /// Bursts 40 ms apart that take what `delay` says of each, in milliseconds.
    fn after(bursts: u32, delay: impl Fn(u32) -> f64) -> Queue {
        let (mut queue, mut mean) = (Queue::new(), 0.0);
        for burst in 0..bursts {
            let delay = delay(burst);
            mean += 0.1 * (delay - mean);
            queue.took(delay, mean, i64::from(burst) * 40_000 + (delay * 1e3) as i64);
        }
        queue
    }

    #[test]
    fn a_queue_is_seen_within_a_second_and_what_it_leaves_behind_is_not() {
        assert!(after(75, |burst| if burst < 50 { 0.0 } else { 60.0 }).stands());
        assert!(!after(55, |burst| if burst < 50 { 0.0 } else { 60.0 }).stands(), "a large frame");
        assert!(!after(100, |burst| if (50..75).contains(&burst) { 60.0 } else { 0.0 }).stands());
        assert!(!after(600, |burst| if burst < 50 { 0.0 } else { 60.0 }).stands(), "a longer way");
    }

    #[test]
    fn jitter_and_pauses_are_no_queue() {
        for bursts in 1..500 {
            let jitter = |burst: u32| f64::from(burst.wrapping_mul(2_654_435_761) >> 16) * 70.0 / 65_536.0;
            assert!(!after(bursts, jitter).stands(), "70 ms of jitter, {bursts}");
            // Every two seconds all that is sent in 280 ms comes at its end.
            let paused = |burst: u32| f64::from(7u32.saturating_sub(burst % 50)) * 40.0;
            assert!(!after(bursts, paused).stands(), "pauses, {bursts}");
        }
    }
}
