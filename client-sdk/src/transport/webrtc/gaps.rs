//! What is missing of one stream, when to ask for it, and when to ask again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The missing packets. Sans-I/O; numbers are counted on beyond 16 bits.
#[derive(Default)]
pub(super) struct Gaps {
    newest: Option<u64>,
    missing: BTreeMap<u64, Missing>,
    round_trip: RoundTrip,
}

#[derive(Clone, Copy)]
struct Missing {
    noticed: Instant,
    /// When it is asked for next.
    due: Instant,
    first_asked: Option<Instant>,
}

impl Gaps {
    /// A packet came; `starts` says whether a picture can begin with it.
    pub(super) fn came(&mut self, number: u16, starts: bool, now: Instant) {
        let Some(newest) = self.newest else {
            let number = FIRST + u64::from(number);
            self.newest = Some(number);
            if !starts {
                // The relay begins with a key frame: what made it one is lost, and nobody else would notice.
                self.miss(number - BEFORE_THE_FIRST, number, now);
            }
            return;
        };
        let number = unwrap(number, newest);
        if number <= newest {
            self.missing.remove(&number);
            return;
        }
        self.newest = Some(number);
        self.miss(newest + 1, number, now);
    }

    fn miss(&mut self, from: u64, to: u64, now: Instant) {
        if to - from + self.missing.len() as u64 > MOST_MISSING {
            // More than asking could repair: a key frame will.
            self.missing.clear();
            return;
        }
        let missing = Missing { noticed: now, due: now + TOLERANCE, first_asked: None };
        self.missing.extend((from..to).map(|number| (number, missing)));
    }

    /// An answer came.
    pub(super) fn came_again(&mut self, number: u16, now: Instant) {
        let Some(newest) = self.newest else { return };
        if let Some(Missing { first_asked: Some(asked), .. }) = self.missing.remove(&unwrap(number, newest)) {
            self.round_trip.took(now.saturating_duration_since(asked));
        }
    }

    /// Returns what is to be asked for now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<u16> {
        let again = now + self.round_trip.limit();
        let mut due = Vec::new();
        self.missing.retain(|number, missing| {
            if missing.due > now {
                return true;
            }
            if now.saturating_duration_since(missing.noticed) > GIVEN_UP_AFTER {
                return false;
            }
            missing.first_asked.get_or_insert(now);
            missing.due = again;
            due.push(*number as u16);
            true
        });
        due
    }

    /// When [`due`](Self::due) has something to ask for next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.missing.values().map(|missing| missing.due).min()
    }
}

/// How long an answer takes, smoothed.
#[derive(Default)]
struct RoundTrip {
    mean: Option<Duration>,
}

impl RoundTrip {
    fn took(&mut self, sample: Duration) {
        self.mean = Some(self.mean.map_or(sample, |mean| (mean * 7 + sample) / 8));
    }

    /// After so long without an answer, question or answer is taken for lost. TCP would wait for four deviations more, but
    /// a question too many costs one packet, and one too late a picture that stands still.
    fn limit(&self) -> Duration {
        self.mean.unwrap_or(UNKNOWN_ROUND_TRIP).clamp(SHORTEST_LIMIT, LONGEST_LIMIT)
    }
}

/// The number nearest to `newest` that ends in `number`.
fn unwrap(number: u16, newest: u64) -> u64 {
    newest.wrapping_add_signed(i64::from(number.wrapping_sub(newest as u16) as i16))
}

/// Room below the first number for those before it.
const FIRST: u64 = 1 << 16;
/// A gap younger than this may be mere disorder.
const TOLERANCE: Duration = Duration::from_millis(10);
/// Later answers rarely help: the next key frame is nearer.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(1);
const UNKNOWN_ROUND_TRIP: Duration = Duration::from_millis(100);
const SHORTEST_LIMIT: Duration = Duration::from_millis(20);
const LONGEST_LIMIT: Duration = Duration::from_millis(400);
/// Looked for at once: a second of 4 Mbit/s.
const MOST_MISSING: u64 = 512;
/// Asked for when a stream does not begin with a key frame's first packet.
const BEFORE_THE_FIRST: u64 = 8;
