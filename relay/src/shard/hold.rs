//! Whether to wait for more packets before those that came are forwarded: a train per viewer costs a third of single
//! packets, but only when more come soon.
//!
//! ```text
//! burst:   p p p p p p M                 the gap is some µs: wait for M, as long as the fan-out takes
//! spread:  p    p    p    p    p    M    waiting costs time and gains little: forward at once, until the shard is busy;
//!                                        then wait the longer the busier it is
//! ```

use std::time::{Duration, Instant, SystemTime};

/// What is known about one publisher's video, and until when its last packets are held.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hold {
    /// Mean time between packets of one frame.
    gap: Option<Duration>,
    /// Mean time from a frame's last packet to the next one's first.
    pause: Option<Duration>,
    last: Option<(SystemTime, bool)>,
    until: Option<Instant>,
}

impl Hold {
    /// Notes a video packet that came at `received`; `marker`: it ends its frame.
    pub(super) fn note(&mut self, received: Option<SystemTime>, marker: bool) {
        let Some(received) = received else { return };
        if let Some((before, ended)) = self.last {
            let passed = received.duration_since(before).unwrap_or_default().min(LONG_GAP);
            let mean = if ended { &mut self.pause } else { &mut self.gap };
            *mean = Some(mean.map_or(passed, |mean| (mean * 7 + passed) / 8));
        }
        self.last = Some((received, marker));
    }

    /// Whether the packets that came so far should wait for more.
    pub(super) fn wants_more(&mut self, pressure: Pressure, now: Instant) -> bool {
        let Some(patience) = self.patience(pressure) else {
            self.until = None;
            return false;
        };
        let until = *self.until.get_or_insert(now + patience);
        if now >= until {
            self.until = None;
            return false;
        }
        true
    }

    /// When waiting is over; `None` when nothing is held.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// How long the first packet may wait; `None` when nothing is gained by it.
    fn patience(&self, pressure: Pressure) -> Option<Duration> {
        let (_, ended) = self.last?;
        let expected = if ended { self.pause } else { self.gap }?;
        // The rest of a burst: there before the first packet would have gone to all.
        let burst = (PER_VIEWER * pressure.viewers as u32).min(pressure.longest);
        let burst = Some(burst).filter(|burst| !ended && expected * 2 < *burst);
        // Anything that comes soon: sent together it costs less, which counts when there is much to do.
        let crowd = pressure.longest.mul_f64(pressure.urgency());
        let crowd = Some(crowd).filter(|crowd| pressure.viewers > 0 && expected < *crowd);
        burst.max(crowd)
    }

    /// Everything was forwarded.
    pub(super) fn release(&mut self) {
        self.until = None;
    }
}

/// What speaks for waiting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pressure {
    /// Viewers that the packets go to, on the shard that has most of them.
    pub(super) viewers: usize,
    /// Processor time that this shard used lately, in thousandths of a processor.
    pub(super) load_per_mille: u64,
    /// Latency that may be given up.
    pub(super) longest: Duration,
}

impl Pressure {
    /// From 0, as long as the shard has time to spare, to 1.
    fn urgency(&self) -> f64 {
        let above = self.load_per_mille.saturating_sub(BUSY_FROM) as f64;
        (above / (BUSY_AT_MOST - BUSY_FROM) as f64).min(1.0)
    }
}

/// Load in thousandths up to which nobody waits but for the rest of a burst.
const BUSY_FROM: u64 = 500;
/// Load from which everybody waits as long as may be.
const BUSY_AT_MOST: u64 = 900;
/// What sending one more packet to a viewer costs: waiting for longer than the whole fan-out cannot gain anything.
const PER_VIEWER: Duration = Duration::from_micros(10);
const LONG_GAP: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_millis(2);

    fn at(us: u64) -> Option<SystemTime> {
        Some(SystemTime::UNIX_EPOCH + Duration::from_micros(us))
    }

    fn pressure(viewers: usize, load_per_mille: u64) -> Pressure {
        Pressure { viewers, load_per_mille, longest: LONGEST }
    }

    /// Thirty frames a second of 10 packets with so many microseconds between them, then the first of one more.
    fn fed(gap: u64) -> Hold {
        let mut hold = Hold::default();
        for frame in 0..20u64 {
            for packet in 0..10 {
                hold.note(at(frame * 33_333 + packet * gap), packet == 9);
            }
        }
        hold
    }

    /// How long the first packet waits.
    fn waits(hold: &mut Hold, pressure: Pressure) -> Duration {
        let now = Instant::now();
        hold.release();
        if hold.wants_more(pressure, now) {
            hold.until().expect("something is held") - now
        } else {
            Duration::ZERO
        }
    }

    #[test]
    fn bursts_are_held_until_their_end() {
        let (mut hold, now) = (fed(12), Instant::now());
        assert!(!hold.wants_more(pressure(100, 0), now), "the frame has ended");
        hold.note(at(700_000), false);
        assert!(hold.wants_more(pressure(100, 0), now));
        let until = hold.until().expect("something is held");
        assert!(until - now <= LONGEST);
        assert!(hold.wants_more(pressure(100, 0), now + (until - now) / 2));
        assert_eq!(hold.until(), Some(until), "more packets do not hold the first one longer");
        assert!(!hold.wants_more(pressure(100, 0), until));
        assert!(!hold.wants_more(pressure(0, 1000), now), "nobody gains from waiting");
        assert_eq!(waits(&mut hold, pressure(1000, 0)), LONGEST);
    }

    #[test]
    fn spread_packets_wait_the_longer_the_busier_the_shard_is() {
        // 8 Mbit/s: 0.9 ms between packets, within a frame and from one to the next.
        let mut hold = Hold::default();
        for packet in 0..200u64 {
            hold.note(at(packet * 900), packet % 37 == 36);
        }
        let by_load =
            [0, 400, 500, 600, 700, 800, 900, 1000].map(|load| waits(&mut hold, pressure(50, load)));
        let ms = by_load.map(|wait| wait.as_secs_f64() * 1e3);
        assert_eq!(ms[..4], [0.0; 4], "idle, or nothing would come so soon");
        assert!((ms[4] - 1.0).abs() < 1e-6 && (ms[5] - 1.5).abs() < 1e-6, "{ms:?}");
        assert_eq!(ms[6..], [2.0, 2.0]);
        for packet in 200..215u64 {
            hold.note(at(packet * 900), packet % 37 == 36);
        }
        assert_eq!(
            waits(&mut hold, pressure(50, 100)),
            Duration::ZERO,
            "and no longer when it has time again"
        );
    }

    #[test]
    fn nothing_is_held_for_what_comes_too_late() {
        // 2.6 Mbit/s: 3.3 ms between packets.
        let mut hold = fed(3_333);
        hold.note(at(670_000), false);
        assert_eq!(waits(&mut hold, pressure(1000, 1000)), Duration::ZERO);
        // A burst's last packet: the next comes with the next frame.
        let mut hold = fed(12);
        assert_eq!(waits(&mut hold, pressure(1000, 1000)), Duration::ZERO);
    }

    #[test]
    fn without_timestamps_nothing_is_held() {
        let mut hold = Hold::default();
        hold.note(None, false);
        assert!(!hold.wants_more(pressure(100, 1000), Instant::now()));
    }
}
