//! Whether frames are live: what the camera's answer to a question proves about the frames that come.
//!
//! The camera stamped its clock on the answer between the moment of the question and that of its arrival.
//! So for every later moment its clock is known to within the round trip, whatever clocks are set to, and
//! with it the age of every frame, whose capture time is sealed in it:
//!
//! ```text
//!   asked ---------------------- answered ------------------- arrived
//!            camera_ms somewhere in here        youngest = camera_ms + (arrived - answered) - captured
//!                                               oldest   = camera_ms + (arrived - asked)    - captured
//! ```
//!
//! A relay that holds back makes `youngest` large. A server that holds back the answer makes only the round
//! trip long, and then nothing is proven: [`Verdict::Unproven`], never [`Verdict::Live`].

use std::time::Duration;

use crate::kid::Kid;

/// The camera's answer, with the moments between which it was given. Moments are counted by this device's
/// monotonic clock from any one beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freshness {
    asked: Duration,
    answered: Duration,
    camera_ms: u64,
    counters: Vec<(Kid, u64)>,
}

/// What is known about a frame when it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When it arrived, by the clock of [`Freshness`].
    pub at: Duration,
    /// When it was captured, by the camera's clock, in milliseconds since the Unix epoch.
    pub captured_ms: u64,
    /// Its key id.
    pub kid: Kid,
    /// Its counter.
    pub ctr: u64,
}

/// What an answer says about a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is at most as old as allowed.
    Live,
    /// It is older than allowed, by at least this much.
    Delayed {
        /// Its least possible age in milliseconds.
        ms: u64,
    },
    /// When the camera answered it had sent this many frames of the track since, more than a group of
    /// pictures.
    Replayed {
        /// How many.
        frames: u64,
    },
    /// The round trip was too long to tell: ask again.
    Unproven,
}

impl Freshness {
    /// The age that a live frame may have. Networks, repetitions of lost packets, and putting in order
    /// take their time.
    pub const ALLOWED_AGE: Duration = Duration::from_millis(2500);
    /// How long an answer may take before frames count as not fresh.
    pub const ANSWER_LIMIT: Duration = Duration::from_secs(15);

    /// An answer that came at `answered` to the question of `asked`.
    #[must_use]
    pub fn new(asked: Duration, answered: Duration, camera_ms: u64, counters: Vec<(Kid, u64)>) -> Self {
        Self { asked, answered: answered.max(asked), camera_ms, counters }
    }

    /// The time between question and answer.
    #[must_use]
    pub fn round_trip(&self) -> Duration {
        self.answered - self.asked
    }

    /// Judges a frame. `gop` is how many frames of the track a group of pictures has at most; a relay may
    /// begin with the last whole one.
    #[must_use]
    pub fn judge(&self, frame: &Arrival, gop: u64) -> Verdict {
        if let Some(frames) = self.frames_behind(frame).filter(|frames| *frames > gop) {
            return Verdict::Replayed { frames };
        }
        let allowed = i128::from(millis(Self::ALLOWED_AGE));
        let (youngest, oldest) = self.age_ms(frame);
        if youngest > allowed {
            return Verdict::Delayed { ms: u64::try_from(youngest).unwrap_or(u64::MAX) };
        }
        if oldest <= allowed { Verdict::Live } else { Verdict::Unproven }
    }

    /// How many frames of its track the camera had sealed after this one when it answered; `None` when the
    /// answer does not name its key id, which is of another epoch or session.
    #[must_use]
    pub fn frames_behind(&self, frame: &Arrival) -> Option<u64> {
        let (_, next) = self.counters.iter().find(|(kid, _)| *kid == frame.kid)?;
        Some(next.saturating_sub(frame.ctr.saturating_add(1)))
    }

    /// The least and the greatest age in milliseconds that a frame can have had when it arrived.
    #[must_use]
    pub fn age_ms(&self, frame: &Arrival) -> (i128, i128) {
        let captured = i128::from(frame.captured_ms);
        let since = |moment: Duration| i128::from(millis(frame.at)) - i128::from(millis(moment));
        let camera = i128::from(self.camera_ms);
        (camera + since(self.answered) - captured, camera + since(self.asked) - captured)
    }

    /// How many seconds this device's clock is ahead of the camera's, when it is certain that it is more
    /// than `tolerance`; negative when it is behind. `now_ms` is this device's wall clock at `answered`,
    /// in milliseconds since the Unix epoch.
    #[must_use]
    pub fn clock_ahead(&self, now_ms: u64, tolerance: Duration) -> Option<i64> {
        // The camera's clock at `answered` is camera_ms to camera_ms + round trip.
        let least = i128::from(now_ms) - i128::from(self.camera_ms) - i128::from(millis(self.round_trip()));
        let most = i128::from(now_ms) - i128::from(self.camera_ms);
        let tolerance = i128::from(millis(tolerance));
        let off = if least > tolerance {
            least
        } else if most < -tolerance {
            most
        } else {
            return None;
        };
        i64::try_from(off / 1000).ok()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn kid() -> Kid {
        Kid::from_value(0x02_0000_0001).unwrap()
    }

    /// Asked at 10.0 s, answered at 10.2 s, the camera's clock being 5,000,000 ms.
    fn answer() -> Freshness {
        let ms = Duration::from_millis;
        Freshness::new(ms(10_000), ms(10_200), 5_000_000, vec![(kid(), 900)])
    }

    fn frame(at_ms: u64, captured_ms: u64, ctr: u64) -> Arrival {
        Arrival { at: Duration::from_millis(at_ms), captured_ms, kid: kid(), ctr }
    }

    #[test]
    fn a_frame_of_now_is_live() {
        // 1 s after the answer the camera's clock is 5,001,000 to 5,001,200.
        assert_eq!(answer().judge(&frame(11_200, 5_000_900, 930), 60), Verdict::Live);
        assert_eq!(answer().age_ms(&frame(11_200, 5_000_900, 930)), (100, 300));
    }

    #[test]
    fn a_constant_delay_is_seen_whatever_the_clocks_say() {
        assert_eq!(answer().judge(&frame(16_200, 5_001_000, 930), 60), Verdict::Delayed { ms: 5000 });
    }

    #[test]
    fn frames_from_before_by_more_than_a_gop_are_replayed() {
        assert_eq!(answer().judge(&frame(10_300, 4_999_900, 800), 60), Verdict::Replayed { frames: 99 });
        assert_eq!(answer().judge(&frame(10_300, 4_999_900, 840), 60), Verdict::Live);
    }

    #[test]
    fn an_answer_that_was_held_back_proves_nothing() {
        let ms = Duration::from_millis;
        let late = Freshness::new(ms(10_000), ms(15_100), 5_000_050, Vec::new());
        // Captured 5 s before it arrives: the answer does not show it, and does not call it live.
        assert_eq!(late.judge(&frame(15_200, 5_000_150, 1), 60), Verdict::Unproven);
    }

    #[test]
    fn a_wrong_clock_is_seen_only_when_it_is_certain() {
        let five_minutes = Duration::from_secs(300);
        assert_eq!(answer().clock_ahead(5_000_000, five_minutes), None);
        assert_eq!(answer().clock_ahead(5_000_000 + 300_100, five_minutes), None);
        assert_eq!(answer().clock_ahead(5_000_000 + 301_200, five_minutes), Some(301));
        assert_eq!(answer().clock_ahead(5_000_000 - 301_000, five_minutes), Some(-301));
    }

    proptest! {
        /// Wherever in the round trip the camera answered: live frames are never called late, and late ones
        /// never live.
        #[test]
        fn the_truth_lies_between_the_bounds(
            asked in 0_u64..1_000_000,
            there in 0_u64..20_000,
            back in 0_u64..20_000,
            later in 0_u64..100_000,
            age in 0_u64..30_000,
            offset in 1_000_000_u64..2_000_000_000_000,
        ) {
            // The camera's clock is this device's plus an offset.
            let (given, answered) = (asked + there, asked + there + back);
            let at = answered + later;
            let ms = Duration::from_millis;
            let fresh = Freshness::new(ms(asked), ms(answered), given + offset, Vec::new());
            let frame = Arrival { at: ms(at), captured_ms: at + offset - age, kid: kid(), ctr: 0 };
            let (youngest, oldest) = fresh.age_ms(&frame);
            prop_assert!(youngest <= i128::from(age) && i128::from(age) <= oldest);
            let allowed = Freshness::ALLOWED_AGE.as_millis();
            match fresh.judge(&frame, 60) {
                Verdict::Live => prop_assert!(u128::from(age) <= allowed),
                Verdict::Delayed { ms } => prop_assert!(u128::from(age) > allowed && ms <= age),
                Verdict::Unproven => prop_assert!(oldest > i128::from(millis(Freshness::ALLOWED_AGE))),
                Verdict::Replayed { .. } => prop_assert!(false, "no counters were answered"),
            }
        }

        #[test]
        fn no_numbers_overflow(
            asked: u64, answered: u64, camera_ms: u64, now_ms: u64, at: u64, captured_ms: u64, ctr: u64, next: u64, gop: u64,
        ) {
            let ms = Duration::from_millis;
            let fresh = Freshness::new(ms(asked), ms(answered), camera_ms, vec![(kid(), next)]);
            let _ = fresh.judge(&Arrival { at: ms(at), captured_ms, kid: kid(), ctr }, gop);
            let _ = fresh.clock_ahead(now_ms, ms(at));
        }
    }
}
