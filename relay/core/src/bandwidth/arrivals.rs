//! When a publisher's packets came, for the transport-wide feedback that its own estimate lives on.

use std::time::{Duration, Instant};

use latchkey_wire::rtcp::{
    MOST_REPORTED, TICK_MICROS, TICKS_PER_REFERENCE, TransportFeedbackReport, write_transport_feedback,
};

/// Notes arrivals and writes feedback about them, about twenty times a second. Allocates once.
#[derive(Debug)]
pub struct Arrivals {
    /// Ticks on the clock that [`arrived`](Self::arrived) was told, by number; `NONE` for what has not come.
    times: Box<[i64]>,
    /// First number that was not reported, and one past the newest; `None` before the first packet.
    span: Option<(i64, i64)>,
    due: Option<Instant>,
    number: u8,
}

impl Arrivals {
    /// Returns a recorder that has seen nothing.
    pub fn new() -> Self {
        Self { times: vec![NONE; CAPACITY as usize].into_boxed_slice(), span: None, due: None, number: 0 }
    }

    /// The packet with this transport-wide number came at `at`, on any clock that runs evenly.
    pub fn arrived(&mut self, sequence: u16, at: Duration, now: Instant) {
        let ticks = i64::try_from(at.as_micros()).unwrap_or(i64::MAX) / TICK_MICROS;
        let (begin, end) = self.span.unwrap_or_else(|| (i64::from(sequence), i64::from(sequence)));
        let number = end - 1 + i64::from(sequence.wrapping_sub((end - 1) as u16) as i16);
        let (mut begin, mut end) = (begin, end);
        if number < end - CAPACITY / 2 || number >= end + CAPACITY {
            // Another counter: what was before is over.
            self.times.fill(NONE);
            (begin, end) = (number, number);
        }
        (end..number).for_each(|passed| self.times[index(passed)] = NONE);
        self.times[index(number)] = ticks;
        end = end.max(number + 1);
        // What came late is told again, with all that followed it.
        begin = begin.min(number).max(end - CAPACITY / 2);
        self.span = Some((begin, end));
        self.due.get_or_insert(now + INTERVAL);
    }

    /// When [`write`](Self::write) has something to say; `None` while nothing new came.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Appends one feedback packet (RTCP, not compound) to `out`; false when there was nothing to say. Call it until then: one
    /// packet does not hold everything.
    pub fn write(&mut self, sender_ssrc: u32, media_ssrc: u32, out: &mut Vec<u8>) -> bool {
        let Some((begin, end)) = self.span.filter(|(begin, end)| begin < end) else {
            self.due = None;
            return false;
        };
        let mut deltas = [None; MOST_REPORTED];
        let mut reference = None;
        let (mut before, mut next) = (0, begin);
        while next < end && next - begin < MOST_REPORTED as i64 {
            let time = self.times[index(next)];
            if time != NONE {
                if reference.is_none() {
                    let steps = time.div_euclid(TICKS_PER_REFERENCE);
                    (reference, before) = (Some(steps), steps * TICKS_PER_REFERENCE);
                }
                // More than 8 s apart: another packet with its own reference.
                let Ok(delta) = i16::try_from(time - before) else { break };
                deltas[(next - begin) as usize] = Some(delta);
                before = time;
            }
            next += 1;
        }
        self.span = Some((next, end));
        if next == end {
            self.due = None;
        }
        let told = (next - begin) as usize;
        let report = TransportFeedbackReport {
            sender_ssrc,
            media_ssrc,
            base: begin as u16,
            reference: (reference.unwrap_or(0) & 0x00FF_FFFF) as u32,
            number: self.number,
            deltas: &deltas[..told],
        };
        self.number = self.number.wrapping_add(1);
        write_transport_feedback(&report, out);
        true
    }
}

impl Default for Arrivals {
    fn default() -> Self {
        Self::new()
    }
}

fn index(number: i64) -> usize {
    number.rem_euclid(CAPACITY) as usize
}

/// Packets remembered; half of them may be reported again.
const CAPACITY: i64 = 2048;
const NONE: i64 = i64::MIN;
/// libwebrtc's own is 50 to 250 ms.
const INTERVAL: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use latchkey_wire::rtcp::{PacketStatus, Request, requests};
    use proptest::prelude::*;

    use super::*;

    /// Everything that feedback says, with absolute ticks.
    fn told(arrivals: &mut Arrivals) -> Vec<(u16, Option<i64>)> {
        let mut all = Vec::new();
        loop {
            let mut out = Vec::new();
            if !arrivals.write(1, 2, &mut out) {
                return all;
            }
            assert!(out.len() <= 1_200, "{} bytes", out.len());
            requests(&out, |request| {
                let Request::Arrivals(feedback) = request else { return };
                let reference = i64::from(feedback.reference_time()) * TICKS_PER_REFERENCE;
                let absolute = |status: PacketStatus| {
                    (status.sequence, status.arrival.map(|arrival| reference + i64::from(arrival)))
                };
                all.extend(feedback.packets().map(absolute));
            })
            .unwrap();
        }
    }

    #[test]
    fn what_came_and_what_did_not_is_told_once() {
        let (mut arrivals, now) = (Arrivals::new(), Instant::now());
        assert_eq!(arrivals.due(), None);
        let at = |ms: u64| Duration::from_millis(1_000_000 + ms);
        for (sequence, ms) in [(65_534, 0), (65_535, 1), (1, 5)] {
            arrivals.arrived(sequence, at(ms), now);
        }
        assert_eq!(arrivals.due(), Some(now + INTERVAL));
        let base = 4_000_000;
        let expected = [(65_534, Some(base)), (65_535, Some(base + 4)), (0, None), (1, Some(base + 20))];
        assert_eq!(told(&mut arrivals), expected);
        assert_eq!(arrivals.due(), None);
        arrivals.arrived(0, at(30), now);
        let late = [(0, Some(base + 120)), (1, Some(base + 20))];
        assert_eq!(told(&mut arrivals), late, "what came late is told after all");
        arrivals.arrived(2, at(20_000), now);
        assert_eq!(told(&mut arrivals), [(2, Some(base + 80_000))], "however long it was quiet");
    }

    proptest! {
        /// Whatever numbers come whenever: no panic, what is told did come then, and everything told has an end.
        #[test]
        fn what_is_told_did_come(
            packets in prop::collection::vec((any::<u16>(), 0u64..1 << 34, any::<bool>()), 1..80),
        ) {
            let (mut arrivals, now) = (Arrivals::new(), Instant::now());
            let mut came = std::collections::HashSet::new();
            let mut next = 0u16;
            for (sequence, micros, jump) in packets {
                next = if jump { sequence } else { next.wrapping_add(1 + sequence % 3) };
                arrivals.arrived(next, Duration::from_micros(micros), now);
                came.insert((next, micros as i64 / TICK_MICROS));
                if sequence % 4 == 0 {
                    for (sequence, ticks) in told(&mut arrivals) {
                        if let Some(ticks) = ticks {
                            prop_assert!(came.contains(&(sequence, ticks)), "{sequence} at {ticks}");
                        }
                    }
                }
            }
        }
    }
}
