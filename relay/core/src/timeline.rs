//! One track's line of positions, timestamps and frame numbers, unbroken over publisher restarts.
//!
//! A publisher's sequence numbers, timestamps and DD frame numbers begin anywhere and begin anew when it restarts. Here they
//! are put on the track's own lines once per packet, so that legs need only constant offsets:
//!
//! ```text
//! publisher   65530 .. 65535 0 1 2 | restart | 900 901 902
//! position       64 ..    69 70 71 72         137 138 139      jumps by SLACK at a restart, room for what was overtaken
//! timestamp   goes on by the time that passed                  frame number goes on by one
//! ```

use std::time::{Duration, Instant};

/// Places packets of one track.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    clock_rate: u32,
    window: u64,
    stretch: Option<Stretch>,
    newest: Option<Newest>,
    /// A sequence number far off the line; the next one after it proves a restart (RFC 3550 A.1).
    suspect: Option<u16>,
    newest_frame_number: Option<u16>,
}

/// One publisher's stay, between two restarts.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    first_position: u64,
    timestamp_offset: u32,
    frame_number_offset: Option<u16>,
}

#[derive(Clone, Copy, Debug)]
struct Newest {
    position: u64,
    sequence: u16,
    timestamp: u32,
    at: Instant,
}

/// Where a packet belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Position on the track's line.
    pub(crate) position: u64,
    /// RTP timestamp on the track's line.
    pub(crate) timestamp: u32,
    /// The packet begins a new stretch.
    pub(crate) restarted: bool,
}

/// The packet is too far from the line to have a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffTheLine;

impl Timeline {
    /// Starts empty. Packets more than `window` positions behind the newest have no place.
    pub(crate) fn new(clock_rate: u32, window: u64) -> Self {
        Self { clock_rate, window, stretch: None, newest: None, suspect: None, newest_frame_number: None }
    }

    /// The next packet begins a new stretch, whatever its numbers.
    pub(crate) fn restart(&mut self) {
        self.stretch = None;
        self.suspect = None;
    }

    /// Places a packet that the publisher sent with these numbers.
    ///
    /// # Errors
    /// [`OffTheLine`] when it is too old, or so far ahead that only its successor can tell a restart.
    pub(crate) fn place(&mut self, sequence: u16, timestamp: u32, now: Instant) -> Result<Place, OffTheLine> {
        let (Some(stretch), Some(newest)) = (self.stretch, self.newest) else {
            return Ok(self.begin(sequence, timestamp, now));
        };
        let ahead = i64::from(sequence.wrapping_sub(newest.sequence) as i16);
        let oldest = (stretch.first_position - SLACK).max((newest.position + 1).saturating_sub(self.window));
        let position = newest.position.checked_add_signed(ahead).filter(|&position| position >= oldest);
        let Some(position) = position.filter(|_| ahead <= MOST_AHEAD) else {
            let restarted = self.suspect == Some(sequence.wrapping_sub(1));
            self.suspect = Some(sequence);
            return if restarted { Ok(self.begin(sequence, timestamp, now)) } else { Err(OffTheLine) };
        };
        self.suspect = None;
        let timestamp = timestamp.wrapping_add(stretch.timestamp_offset);
        if ahead > 0 {
            self.newest = Some(Newest { position, sequence, timestamp, at: now });
        }
        Ok(Place { position, timestamp, restarted: false })
    }

    /// Places a packet known to belong to the present stretch by a publisher's RTX: it never moves the line.
    pub(crate) fn place_repair(&self, sequence: u16, timestamp: u32) -> Result<Place, OffTheLine> {
        let (Some(stretch), Some(newest)) = (self.stretch, self.newest) else { return Err(OffTheLine) };
        let behind = u64::from(newest.sequence.wrapping_sub(sequence));
        let position = newest.position.checked_sub(behind).ok_or(OffTheLine)?;
        if behind >= self.window.min(0x8000) || position < stretch.first_position - SLACK {
            return Err(OffTheLine);
        }
        Ok(Place { position, timestamp: timestamp.wrapping_add(stretch.timestamp_offset), restarted: false })
    }

    /// Puts a DD frame number on the track's line.
    pub(crate) fn frame_number(&mut self, number: u16) -> u16 {
        let Some(stretch) = &mut self.stretch else { return number };
        let offset = *stretch.frame_number_offset.get_or_insert_with(|| {
            self.newest_frame_number.map_or(0, |newest| newest.wrapping_add(1).wrapping_sub(number))
        });
        let number = number.wrapping_add(offset);
        if self.newest_frame_number.is_none_or(|newest| (number.wrapping_sub(newest) as i16) > 0) {
            self.newest_frame_number = Some(number);
        }
        number
    }

    /// One past the newest position; 0 before the first packet.
    pub(crate) fn end(&self) -> u64 {
        self.newest.map_or(0, |newest| newest.position + 1)
    }

    /// Publisher's sequence number of a position of the present stretch.
    pub(crate) fn sequence(&self, position: u64) -> u16 {
        self.newest
            .map_or(0, |newest| newest.sequence.wrapping_sub(newest.position.wrapping_sub(position) as u16))
    }

    /// What is added to the publisher's timestamps now.
    pub(crate) fn timestamp_offset(&self) -> Option<u32> {
        self.stretch.map(|stretch| stretch.timestamp_offset)
    }

    fn begin(&mut self, sequence: u16, timestamp: u32, now: Instant) -> Place {
        let (position, continued) = match self.newest {
            None => (SLACK, timestamp),
            Some(newest) => {
                let passed = now.saturating_duration_since(newest.at).max(SHORTEST_PAUSE);
                (newest.position + 1 + SLACK, newest.timestamp.wrapping_add(ticks(passed, self.clock_rate)))
            }
        };
        self.stretch = Some(Stretch {
            first_position: position,
            timestamp_offset: continued.wrapping_sub(timestamp),
            frame_number_offset: None,
        });
        self.newest = Some(Newest { position, sequence, timestamp: continued, at: now });
        self.suspect = None;
        Place { position, timestamp: continued, restarted: true }
    }
}

/// Returns a duration in ticks of an RTP clock, modulo 2^32.
pub(crate) fn ticks(duration: Duration, clock_rate: u32) -> u32 {
    (duration.as_nanos() * u128::from(clock_rate) / 1_000_000_000) as u32
}

/// Positions kept free before a stretch, for packets that the first one overtook.
const SLACK: u64 = 64;
/// RFC 3550 A.1 MAX_DROPOUT: further ahead it is a restart, not loss.
const MOST_AHEAD: i64 = 3000;
/// A restart moves the timestamp on by this at least: one frame at 60 fps.
const SHORTEST_PAUSE: Duration = Duration::from_millis(16);

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;
    use proptest::prelude::*;

    fn timeline() -> (Timeline, Instant) {
        (Timeline::new(90_000, 1024), Instant::now())
    }

    #[test]
    fn wraps_and_reorders_keep_their_distance() {
        let (mut line, now) = timeline();
        let first = line.place(65_534, 10, now).unwrap();
        assert!(first.restarted);
        let ahead = line.place(1, 20, now).unwrap();
        assert_eq!(ahead.position, first.position + 3);
        assert_eq!(line.place(65_535, 15, now).unwrap().position, first.position + 1);
        assert_eq!(
            line.place(65_500, 1, now).unwrap().position,
            first.position - 34,
            "overtaken by the first"
        );
        assert_eq!(line.sequence(first.position), 65_534);
        assert_eq!(line.end(), ahead.position + 1);
    }

    #[test]
    fn a_restart_goes_on_by_the_time_that_passed() {
        let (mut line, now) = timeline();
        let last = line.place(100, 5_000, now).unwrap();
        assert_eq!(line.frame_number(41), 41);
        line.restart();
        let next = line.place(7, 4_000_000_000, now + Duration::from_millis(500)).unwrap();
        assert!(next.restarted);
        assert!(next.position > last.position);
        assert_eq!(next.timestamp, 5_000 + 45_000);
        assert_eq!(line.frame_number(900), 42);
        assert_eq!(line.frame_number(899), 41, "overtaken frame");
        assert_eq!(line.frame_number(901), 43);
    }

    #[test]
    fn two_packets_off_the_line_are_a_restart() {
        let (mut line, now) = timeline();
        line.place(20_000, 0, now).unwrap();
        assert_eq!(line.place(100, 0, now), Err(OffTheLine));
        assert_eq!(line.place(20_001, 0, now).map(|place| place.restarted), Ok(false));
        assert_eq!(line.place(101, 0, now), Err(OffTheLine), "the one before it was a stray");
        assert_eq!(line.place(102, 0, now).map(|place| place.restarted), Ok(true));
    }

    #[test]
    fn repairs_never_move_the_line() {
        let (mut line, now) = timeline();
        let first = line.place(10, 0, now).unwrap();
        line.place(20, 0, now).unwrap();
        assert_eq!(line.place_repair(15, 3).unwrap().position, first.position + 5);
        assert_eq!(line.place_repair(21, 3), Err(OffTheLine), "never sent");
        assert_eq!(line.end(), first.position + 11);
    }

    proptest! {
        /// Positions keep the publisher's order within a stretch, and every stretch lies after the one before.
        #[test]
        fn positions_are_monotone_over_restarts(
            stretches in prop::collection::vec((any::<u16>(), any::<u32>(), prop::collection::vec(0u16..40, 1..80)), 1..6),
        ) {
            let (mut line, mut now) = timeline();
            let (mut floor, mut newest_timestamp) = (0, None);
            for (first, timestamp, offsets) in stretches {
                line.restart();
                let base = line.place(first, timestamp, now).unwrap();
                prop_assert!(base.restarted && base.position >= floor + SLACK.min(base.position));
                if let Some(newest) = newest_timestamp {
                    prop_assert!((base.timestamp.wrapping_sub(newest) as i32) > 0);
                }
                for offset in offsets {
                    let place = line.place(first.wrapping_add(offset), timestamp, now).unwrap();
                    prop_assert_eq!(place.position, base.position + u64::from(offset));
                }
                newest_timestamp = Some(base.timestamp);
                floor = line.end();
                now += Duration::from_millis(40);
            }
        }
    }
}
