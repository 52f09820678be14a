//! Sender reports for viewers and receiver reports for the publisher (RFC 3550 6.4, A.3, A.8).

use std::time::{Duration, Instant};

use latchkey_wire::rtcp::ReceptionReport;

use crate::timeline::ticks;

/// Ties a track's RTP time line to the publisher's NTP clock, by its sender reports or its capture times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SourceClock {
    clock_rate: u32,
    tie: Option<Tie>,
}

#[derive(Clone, Copy, Debug)]
struct Tie {
    ntp: u64,
    timestamp: u32,
    at: Instant,
    reported: bool,
}

impl SourceClock {
    /// Knows nothing yet.
    pub(crate) fn new(clock_rate: u32) -> Self {
        Self { clock_rate, tie: None }
    }

    /// A sender report tied `ntp` to a timestamp on the track's line.
    pub(crate) fn reported(&mut self, ntp: u64, timestamp: u32, now: Instant) {
        self.tie = Some(Tie { ntp, timestamp, at: now, reported: true });
    }

    /// A capture time did; it counts as long as there is no sender report.
    pub(crate) fn captured(&mut self, ntp: u64, timestamp: u32, now: Instant) {
        if self.tie.is_none_or(|tie| !tie.reported) {
            self.tie = Some(Tie { ntp, timestamp, at: now, reported: false });
        }
    }

    /// The publisher is new, and so is its clock.
    pub(crate) fn clear(&mut self) {
        self.tie = None;
    }

    /// Returns NTP time and the track's timestamp at `now`.
    pub(crate) fn at(&self, now: Instant) -> Option<(u64, u32)> {
        let tie = self.tie?;
        let passed = now.saturating_duration_since(tie.at);
        Some((tie.ntp.wrapping_add(ntp(passed)), tie.timestamp.wrapping_add(ticks(passed, self.clock_rate))))
    }
}

/// How the publisher's packets of one SSRC arrive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reception {
    clock_rate: u32,
    source: Option<Source>,
    last_report: Option<(u32, Instant)>,
}

#[derive(Clone, Copy, Debug)]
struct Source {
    first: u32,
    highest: u32,
    received: u32,
    expected_before: u32,
    received_before: u32,
    began: Instant,
    transit: u32,
    /// In 1/16 ticks.
    jitter: u32,
}

impl Reception {
    /// Nothing received yet.
    pub(crate) fn new(clock_rate: u32) -> Self {
        Self { clock_rate, source: None, last_report: None }
    }

    /// Begins anew: another SSRC, or its numbers jumped.
    pub(crate) fn restart(&mut self) {
        self.source = None;
        self.last_report = None;
    }

    /// A packet of the media SSRC came in its place, duplicates not counted.
    pub(crate) fn received(&mut self, sequence: u16, timestamp: u32, now: Instant) {
        let clock_rate = self.clock_rate;
        let source = self.source.get_or_insert_with(|| Source::new(sequence, timestamp, now));
        source.received += 1;
        let ahead = sequence.wrapping_sub(source.highest as u16) as i16;
        if ahead > 0 {
            source.highest = source.highest.wrapping_add(ahead as u32);
        }
        let arrival = ticks(now.saturating_duration_since(source.began), clock_rate);
        let transit = arrival.wrapping_sub(timestamp);
        let difference = (transit.wrapping_sub(source.transit) as i32).unsigned_abs();
        source.transit = transit;
        // A jump of more than a second is a new time line, not jitter.
        if difference < clock_rate {
            source.jitter = source.jitter + difference - ((source.jitter + 8) >> 4);
        }
    }

    /// The publisher's sender report came.
    pub(crate) fn sender_report(&mut self, ntp: u64, now: Instant) {
        self.last_report = Some(((ntp >> 16) as u32, now));
    }

    /// Makes the report block for the time since the last one; `None` before the first packet.
    pub(crate) fn report(&mut self, ssrc: u32, now: Instant) -> Option<ReceptionReport> {
        let source = self.source.as_mut()?;
        let expected = source.highest.wrapping_sub(source.first).wrapping_add(1);
        let expected_now = expected.wrapping_sub(source.expected_before);
        let received_now = source.received.wrapping_sub(source.received_before);
        (source.expected_before, source.received_before) = (expected, source.received);
        let lost_now = expected_now.saturating_sub(received_now);
        let fraction = (u64::from(lost_now) * 256).checked_div(u64::from(expected_now)).unwrap_or(0).min(255);
        let total_lost = (i64::from(expected) - i64::from(source.received)).clamp(-(1 << 23), (1 << 23) - 1);
        let (last_sender_report, delay) = match self.last_report {
            Some((middle, at)) => (middle, (ntp(now.saturating_duration_since(at)) >> 16) as u32),
            None => (0, 0),
        };
        Some(ReceptionReport {
            ssrc,
            fraction_lost: fraction as u8,
            total_lost: (total_lost as u32) & 0x00FF_FFFF,
            highest_sequence_number: source.highest,
            jitter: source.jitter >> 4,
            last_sender_report,
            delay,
        })
    }
}

impl Source {
    fn new(sequence: u16, timestamp: u32, now: Instant) -> Self {
        Self {
            first: u32::from(sequence),
            highest: u32::from(sequence),
            received: 0,
            expected_before: 0,
            received_before: 0,
            began: now,
            transit: 0u32.wrapping_sub(timestamp),
            jitter: 0,
        }
    }
}

/// Returns a duration as 32.32 fixed point seconds.
fn ntp(duration: Duration) -> u64 {
    (duration.as_secs() << 32) | ((u64::from(duration.subsec_nanos()) << 32) / 1_000_000_000)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;

    #[test]
    fn the_source_clock_runs_on() {
        let start = Instant::now();
        let mut clock = SourceClock::new(90_000);
        assert_eq!(clock.at(start), None);
        clock.captured(10 << 32, 500, start);
        assert_eq!(
            clock.at(start + Duration::from_millis(500)),
            Some(((10 << 32) + (1 << 31), 500 + 45_000))
        );
        clock.reported(20 << 32, 900, start);
        clock.captured(11 << 32, 501, start);
        assert_eq!(clock.at(start), Some((20 << 32, 900)), "the report counts");
    }

    #[test]
    fn loss_is_counted_per_interval_and_in_total() {
        let start = Instant::now();
        let mut reception = Reception::new(90_000);
        assert_eq!(reception.report(1, start), None);
        for index in (0..100u16).filter(|index| index % 4 != 0 || *index == 0) {
            let now = start + Duration::from_millis(u64::from(index) * 10);
            reception.received(65_500u16.wrapping_add(index), u32::from(index) * 900, now);
        }
        reception.sender_report(0x0001_2345_6789_0000, start);
        let report = reception.report(7, start + Duration::from_secs(2)).unwrap();
        assert_eq!(report.fraction_lost, 61, "24 of 100");
        assert_eq!(report.total_lost, 24);
        assert_eq!(report.highest_sequence_number, 65_500 + 99);
        assert_eq!(report.jitter, 0);
        assert_eq!(report.last_sender_report, 0x2345_6789);
        assert_eq!(report.delay, 2 << 16);
        let quiet = reception.report(7, start + Duration::from_secs(3)).unwrap();
        assert_eq!((quiet.fraction_lost, quiet.total_lost), (0, 24));
    }

    #[test]
    fn jitter_follows_the_spread_of_arrival() {
        let start = Instant::now();
        let mut reception = Reception::new(90_000);
        for index in 0..200u32 {
            let late = Duration::from_millis(u64::from(index % 2) * 5);
            reception.received(
                index as u16,
                index * 900,
                start + Duration::from_millis(u64::from(index) * 10) + late,
            );
        }
        let jitter = reception.report(7, start).unwrap().jitter;
        assert!((400..=460).contains(&jitter), "5 ms are 450 ticks, got {jitter}");
    }
}
