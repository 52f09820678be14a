//! Whether to wait for the rest of a frame before it is forwarded: a train per viewer and frame costs a third of
//! single packets, but only when the rest comes at once.
//!
//! ```text
//! burst:   p p p p p p M                 the gap is some µs: wait for M, at most `longest`
//! spread:  p    p    p    p    p    M    the gap is some ms: waiting gains nothing, forward at once
//! ```

use std::time::{Duration, Instant, SystemTime};

/// What is known about one publisher's video, and until when its last packets are held.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hold {
    /// Mean time between packets of one frame.
    gap: Option<Duration>,
    last: Option<(SystemTime, bool)>,
    until: Option<Instant>,
}

impl Hold {
    /// Notes a video packet that came at `received`; `marker`: it ends its frame.
    pub(super) fn note(&mut self, received: Option<SystemTime>, marker: bool) {
        let Some(received) = received else { return };
        if let Some((before, false)) = self.last {
            let gap = received.duration_since(before).unwrap_or_default();
            self.gap = Some(match self.gap {
                Some(mean) => (mean * 7 + gap.min(LONG_GAP)) / 8,
                None => gap.min(LONG_GAP),
            });
        }
        self.last = Some((received, marker));
    }

    /// Whether the packets that came so far should wait for more, given how many viewers they go to.
    pub(super) fn wants_more(&mut self, viewers: usize, now: Instant) -> bool {
        let open = self.last.is_some_and(|(_, marker)| !marker);
        let longest = (PER_VIEWER * viewers as u32).min(LONGEST);
        let pays = self.gap.is_some_and(|gap| gap * 2 < longest);
        if !open || !pays {
            self.until = None;
            return false;
        }
        let until = *self.until.get_or_insert(now + longest);
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

    /// Everything was forwarded.
    pub(super) fn release(&mut self) {
        self.until = None;
    }
}

/// What sending one more packet to a viewer costs: waiting for longer than the whole fan-out cannot gain anything.
const PER_VIEWER: Duration = Duration::from_micros(10);
/// Latency that is given up at most.
const LONGEST: Duration = Duration::from_millis(2);
const LONG_GAP: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(us: u64) -> Option<SystemTime> {
        Some(SystemTime::UNIX_EPOCH + Duration::from_micros(us))
    }

    #[test]
    fn bursts_are_held_until_their_end() {
        let (mut hold, now) = (Hold::default(), Instant::now());
        for frame in 0..3u64 {
            for packet in 0..10 {
                hold.note(at(frame * 33_000 + packet * 12), packet == 9);
            }
        }
        assert!(!hold.wants_more(100, now), "the frame has ended");
        hold.note(at(99_000), false);
        assert!(hold.wants_more(100, now));
        let until = hold.until().expect("something is held");
        assert!(until - now <= LONGEST);
        assert!(hold.wants_more(100, now + (until - now) / 2));
        assert_eq!(hold.until(), Some(until), "more packets do not hold the first one longer");
        assert!(!hold.wants_more(100, until));
        assert!(!hold.wants_more(0, now), "nobody gains from waiting");
    }

    #[test]
    fn spread_packets_are_not_held() {
        let (mut hold, now) = (Hold::default(), Instant::now());
        for packet in 0..20 {
            hold.note(at(packet * 3_300), packet % 10 == 9);
        }
        hold.note(at(70_000), false);
        assert!(!hold.wants_more(1000, now));
    }

    #[test]
    fn without_timestamps_nothing_is_held() {
        let mut hold = Hold::default();
        hold.note(None, false);
        assert!(!hold.wants_more(100, Instant::now()));
    }
}
