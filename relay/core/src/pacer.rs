//! Spreads what a slow viewer gets: two buckets, one for bursts and one for the long run. No clock of its own, no queue.

use std::time::Instant;

/// What may go out to one viewer. What may not stays in the track's history, where the viewer's legs go on later.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pacer {
    /// Bytes per second that the path is believed to carry.
    rate: f64,
    /// Bytes; below zero by what the last packet took too much.
    burst: f64,
    sustained: f64,
    filled: Instant,
}

impl Pacer {
    /// Returns buckets for a path that carries so much.
    pub(crate) fn new(bits_per_second: f64, now: Instant) -> Self {
        let rate = bits_per_second / 8.0;
        Self { rate, burst: 0.0, sustained: rate * FIRST_SECONDS, filled: now }
    }

    /// The path carries so much from now on.
    pub(crate) fn set_rate(&mut self, bits_per_second: f64) {
        self.rate = bits_per_second / 8.0;
    }

    /// Puts in what time has brought.
    pub(crate) fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = self.filled.max(now);
        let burst = BURST_GAIN * self.rate;
        self.burst = (self.burst + burst * passed).min((burst * BURST_SECONDS).max(LEAST_BURST));
        let sustained = SUSTAINED_GAIN * self.rate * passed;
        self.sustained = (self.sustained + sustained).min(self.rate * SUSTAINED_SECONDS);
    }

    /// Whether the next packet may go.
    #[inline]
    pub(crate) fn may_send(&self) -> bool {
        self.burst > 0.0 && self.sustained > 0.0
    }

    /// A packet went.
    #[inline]
    pub(crate) fn sent(&mut self, bytes: usize) {
        // Repairs go without asking; they must not hold up what comes after for ever.
        self.burst = (self.burst - bytes as f64).max(-MOST_OWED);
        self.sustained = (self.sustained - bytes as f64).max(-MOST_OWED);
    }

    /// Lets so many bytes go at once, whatever the path is believed to carry.
    pub(crate) fn credit(&mut self, bytes: f64) {
        self.burst = self.burst.max(0.0) + bytes;
        self.sustained = self.sustained.max(0.0) + bytes;
    }
}

/// A frame goes out at this many times what the path is believed to carry, and that is at most what it carries: faster, a key
/// frame would overrun a router's queue.
const BURST_GAIN: f64 = 1.5;
/// That much of it may go at once: what comes in between two looks.
const BURST_SECONDS: f64 = 0.010;
const LEAST_BURST: f64 = 1_200.0;
/// In the long run not much more goes out than comes through.
const SUSTAINED_GAIN: f64 = 1.1;
/// A frame may be so large that the path is busy with it for so long.
const SUSTAINED_SECONDS: f64 = 1.0;
/// A path that was just found too slow has a queue to work off.
const FIRST_SECONDS: f64 = 0.1;
const MOST_OWED: f64 = 20_000.0;

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use std::time::Duration;

    use super::*;

    /// Bytes that go out in a second when there is always more, looked at every 5 ms.
    fn second(pacer: &mut Pacer, start: Instant) -> usize {
        let mut sent = 0;
        for look in 0..200 {
            pacer.fill(start + Duration::from_millis(5 * look));
            while pacer.may_send() {
                pacer.sent(1_000);
                sent += 1_000;
            }
        }
        sent
    }

    #[test]
    fn a_frame_is_spread_and_the_long_run_is_bounded() {
        let start = Instant::now();
        let mut pacer = Pacer::new(800_000.0, start);
        let first = second(&mut pacer, start);
        assert!((110_000..=125_000).contains(&first), "{first}");
        let next = second(&mut pacer, start + Duration::from_secs(1));
        assert!((105_000..=115_000).contains(&next), "{next}");
        // After a pause a frame goes at one and a half times the rate.
        let later = start + Duration::from_secs(10);
        pacer.fill(later);
        let mut sent = 0;
        for look in 0..20 {
            pacer.fill(later + Duration::from_millis(5 * look));
            while pacer.may_send() {
                pacer.sent(1_000);
                sent += 1_000;
            }
        }
        assert!((14_000..=17_000).contains(&sent), "{sent} in 95 ms");
        pacer.credit(5_000.0);
        assert!(pacer.may_send());
    }

    #[test]
    fn debts_are_bounded_and_time_may_stand_still() {
        let start = Instant::now();
        let mut pacer = Pacer::new(800_000.0, start + Duration::from_secs(1));
        (0..1_000).for_each(|_| pacer.sent(1_500));
        pacer.fill(start);
        assert!(!pacer.may_send());
        pacer.fill(start + Duration::from_millis(1_400));
        assert!(pacer.may_send());
    }
}
