//! What a person would see of one viewer's frames: which can be shown, and when.
//!
//! Frames are shown in order. A missing one is waited for; what lies behind it cannot be decoded until the next key frame.
//!
//! ```text
//!   complete, in order ─┬──────────────────────────────▶ Picture: shown at once
//!                       └─ not before capture + delay ──▶ Picture: shown by a player
//! ```
//! A player stays behind the fastest frame that came by a fixed delay, so that jitter and repairs do not show, as the jitter
//! buffer of a browser does. What comes later than that is shown when it comes.

use crate::fleet::viewer::picture::Picture;
use crate::measure::tally::ViewerTally;

/// A frame that is complete, by the numbers of its packets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Complete {
    /// Number of its first packet, counted on beyond 16 bits.
    pub(crate) first: u64,
    /// Of its last.
    pub(crate) last: u64,
    /// RTP timestamp, of 90 kHz.
    pub(crate) timestamp: u32,
    /// Decoding can begin with it.
    pub(crate) key: bool,
}

/// The picture of one viewer. Times are microseconds since any fixed moment.
#[derive(Default)]
pub(crate) struct Playout {
    /// The packet that the next frame to be shown begins with.
    next: Option<u64>,
    /// Complete frames behind a missing one, in order.
    waiting: Vec<Complete>,
    /// Since when the missing one is waited for.
    missing_since: Option<u64>,
    player: Player,
    at_once: Picture,
    played: Picture,
    watched_until: u64,
}

impl Playout {
    /// Returns the picture of a player that stays so many microseconds behind.
    pub(crate) fn behind(delay: u64) -> Self {
        Self { player: Player { delay, ..Player::default() }, ..Self::default() }
    }

    /// Takes a frame that was complete at `now`.
    pub(crate) fn complete(&mut self, frame: Complete, now: u64, tally: &mut ViewerTally) {
        self.player.note(frame.timestamp, now);
        match self.next {
            None if !frame.key => return,
            None => self.watched_until = now,
            Some(next) if frame.first < next => return,
            Some(next) if frame.first > next => {
                let at = self.waiting.partition_point(|waiting| waiting.first < frame.first);
                self.waiting.insert(at, frame);
                self.missing_since.get_or_insert(now);
                self.give_up_waiting(now, tally);
                return;
            }
            Some(_) => {}
        }
        self.show(frame, now, tally);
        self.show_waiting(now, tally);
    }

    /// Counts up to `now`.
    pub(crate) fn settle(&mut self, now: u64, tally: &mut ViewerTally) {
        self.give_up_waiting(now, tally);
        if self.next.is_none() {
            return;
        }
        tally.watched_us += now.saturating_sub(self.watched_until);
        self.watched_until = self.watched_until.max(now);
        tally.frozen_us += self.played.settle(now);
        tally.frozen_at_once_us += self.at_once.settle(now);
    }

    /// Returns whether nothing can be shown until a key frame comes: none came yet, or a frame was not repaired in time.
    pub(crate) fn wants_key_frame(&self, now: u64) -> bool {
        self.next.is_none() || self.missing_for(now, REPAIRED_WITHIN)
    }

    fn missing_for(&self, now: u64, time: u64) -> bool {
        self.missing_since.is_some_and(|since| now.saturating_sub(since) >= time)
    }

    /// Goes on with the next key frame, where the missing one was waited for long enough.
    fn give_up_waiting(&mut self, now: u64, tally: &mut ViewerTally) {
        let full = self.waiting.len() > MOST_WAITING;
        if !self.missing_for(now, WAIT) && !full {
            return;
        }
        match self.waiting.iter().position(|frame| frame.key) {
            Some(at) => {
                self.next = Some(self.waiting[at].first);
                self.waiting.drain(..at);
                self.show_waiting(now, tally);
            }
            None if full => self.waiting.truncate(MOST_WAITING / 2),
            None => {}
        }
    }

    fn show_waiting(&mut self, now: u64, tally: &mut ViewerTally) {
        let before = self.waiting.len();
        while let Some(frame) = self.waiting.first().copied()
            && self.next.is_none_or(|next| frame.first <= next)
        {
            self.waiting.remove(0);
            if self.next == Some(frame.first) {
                self.show(frame, now, tally);
            }
        }
        if self.waiting.is_empty() {
            self.missing_since = None;
        } else if self.waiting.len() != before {
            self.missing_since = Some(now);
        }
    }

    fn show(&mut self, frame: Complete, now: u64, tally: &mut ViewerTally) {
        self.next = Some(frame.last + 1);
        tally.frozen_at_once_us += self.at_once.show(now);
        tally.frozen_us += self.played.show(now.max(self.player.due(frame.timestamp)));
    }
}

/// When a player shows what.
#[derive(Default)]
struct Player {
    delay: u64,
    /// Newest timestamp, and the same counted on beyond 32 bits.
    newest: Option<(u32, i64)>,
    /// From a frame's time to its arrival, of the fastest one.
    fastest: Option<i64>,
}

impl Player {
    /// Notes that a frame of this time was complete at `now`.
    fn note(&mut self, timestamp: u32, now: u64) {
        let ticks = self.ticks(timestamp);
        if self.newest.is_none_or(|(_, newest)| ticks >= newest) {
            self.newest = Some((timestamp, ticks));
        }
        let way = now as i64 - microseconds(ticks);
        self.fastest = Some(self.fastest.map_or(way, |fastest| fastest.min(way)));
    }

    /// Returns when a frame of this time is shown if it is there by then.
    fn due(&self, timestamp: u32) -> u64 {
        let Some(fastest) = self.fastest else { return 0 };
        (microseconds(self.ticks(timestamp)) + fastest).max(0) as u64 + self.delay
    }

    fn ticks(&self, timestamp: u32) -> i64 {
        self.newest.map_or(i64::from(timestamp), |(newest, ticks)| {
            ticks + i64::from(timestamp.wrapping_sub(newest) as i32)
        })
    }
}

fn microseconds(ticks: i64) -> i64 {
    ticks * 100 / 9
}

/// How long a missing frame is waited for while a later key frame is there to go on with; microseconds.
const WAIT: u64 = 250_000;
/// Repairs are asked for that long, five times and a round trip: only then a key frame is asked for; microseconds.
const REPAIRED_WITHIN: u64 = 700_000;
const MOST_WAITING: usize = 256;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FRAME: u64 = 33_333;

    /// Ten packets a frame.
    fn frame(number: u64, key: bool) -> Complete {
        let timestamp = (number * 3000) as u32;
        Complete { first: number * 10, last: number * 10 + 9, timestamp, key }
    }

    fn play(frames: impl IntoIterator<Item = (u64, bool, u64)>, until: u64) -> ViewerTally {
        let (mut playout, mut tally) = (Playout::default(), ViewerTally::default());
        for (number, key, at) in frames {
            playout.complete(frame(number, key), at, &mut tally);
        }
        playout.settle(until, &mut tally);
        tally
    }

    #[test]
    fn an_even_picture_never_stands_still() {
        let tally = play((0..100).map(|n| (n, n % 30 == 0, n * FRAME)), 100 * FRAME);
        assert_eq!((tally.frozen_us, tally.watched_us), (0, 100 * FRAME));
    }

    #[test]
    fn a_gap_beyond_both_bounds_is_frozen_as_a_whole() {
        // A mean of 33.3 ms: the bounds are 100 ms and 183.3 ms.
        for (gap, frozen) in [(183_000, 0), (183_400, 183_400), (2_000_000, 2_000_000)] {
            let late = |n: u64| n * FRAME + if n >= 50 { gap - FRAME } else { 0 };
            let tally = play((0..60).map(|n| (n, n == 0, late(n))), late(60));
            assert_eq!(tally.frozen_us, frozen, "a gap of {gap} us");
        }
    }

    #[test]
    fn slow_cameras_have_longer_bounds() {
        // One frame a second: only from three seconds on it is frozen.
        for (gap, frozen) in [(2_900_000, 0), (3_000_000, 3_000_000)] {
            let at = |n: u64| n * 1_000_000 + if n >= 4 { gap - 1_000_000 } else { 0 };
            let tally = play((0..6).map(|n| (n, n == 0, at(n))), at(6));
            assert_eq!(tally.frozen_us, frozen, "a gap of {gap} us");
        }
    }

    #[test]
    fn a_standstill_counts_while_it_lasts_and_once() {
        let (mut playout, mut tally) = (Playout::default(), ViewerTally::default());
        (0..30).for_each(|n| playout.complete(frame(n, n == 0), n * FRAME, &mut tally));
        let last = 29 * FRAME;
        for (after, frozen) in [(150_000, 0), (1_000_000, 1_000_000), (1_500_000, 1_500_000)] {
            playout.settle(last + after, &mut tally);
            assert_eq!(tally.frozen_us, frozen);
        }
        playout.complete(frame(30, false), last + 1_600_000, &mut tally);
        assert_eq!(tally.frozen_us, 1_600_000);
        playout.settle(last + 1_700_000, &mut tally);
        assert_eq!((tally.frozen_us, tally.watched_us), (1_600_000, last + 1_700_000));
    }

    #[test]
    fn what_lies_behind_a_lost_frame_waits_for_the_next_key_frame() {
        // Frame 10 is lost for good; the next key frame is 30.
        let frames = (0..40).filter(|n| *n != 10).map(|n| (n, n % 30 == 0, n * FRAME));
        let tally = play(frames, 40 * FRAME);
        assert_eq!(tally.frozen_us, 21 * FRAME, "from frame 9 to frame 30");
    }

    #[test]
    fn a_repaired_frame_goes_on_with_all_that_waited() {
        let at = |n: u64| if n == 10 { 13 * FRAME + 1000 } else { n * FRAME };
        let mut frames: Vec<_> = (0..40).map(|n| (n, n == 0, at(n))).collect();
        frames.sort_by_key(|(_, _, at)| *at);
        let (mut playout, mut tally) = (Playout::default(), ViewerTally::default());
        for (number, key, at) in frames {
            playout.complete(frame(number, key), at, &mut tally);
        }
        playout.settle(40 * FRAME, &mut tally);
        assert_eq!(tally.frozen_us, 0, "134 ms are no standstill");
        assert!(!playout.wants_key_frame(40 * FRAME) && playout.waiting.is_empty());
    }

    #[test]
    fn a_key_frame_is_wanted_before_the_first_and_after_a_loss() {
        let (mut playout, mut tally) = (Playout::default(), ViewerTally::default());
        playout.complete(frame(5, false), 0, &mut tally);
        assert!(playout.wants_key_frame(0));
        playout.complete(frame(6, true), FRAME, &mut tally);
        playout.complete(frame(8, false), 3 * FRAME, &mut tally);
        assert!(!playout.wants_key_frame(3 * FRAME), "it may still be repaired");
        assert!(!playout.wants_key_frame(3 * FRAME + WAIT), "it is still being repaired");
        assert!(playout.wants_key_frame(3 * FRAME + REPAIRED_WITHIN));
        playout.complete(frame(20, true), 20 * FRAME, &mut tally);
        assert!(!playout.wants_key_frame(20 * FRAME));
    }

    /// Plays frames of which some come late, by players of several delays; returns how long their pictures stood still.
    fn play_late(late: impl Fn(u64) -> u64, delays: &[u64]) -> Vec<u64> {
        let mut frames: Vec<_> = (0..300).map(|n| (n, n * FRAME + late(n))).collect();
        frames.sort_by_key(|(_, at)| *at);
        let still = |delay: &u64| {
            let (mut playout, mut tally) = (Playout::behind(*delay), ViewerTally::default());
            for (number, at) in &frames {
                playout.complete(frame(*number, *number == 0), *at, &mut tally);
            }
            playout.settle(300 * FRAME, &mut tally);
            if *delay == 0 {
                assert_eq!(tally.frozen_us, tally.frozen_at_once_us, "a player without delay shows at once");
            }
            assert!(tally.frozen_us <= tally.frozen_at_once_us);
            tally.frozen_us
        };
        delays.iter().map(still).collect()
    }

    #[test]
    fn a_player_hides_what_comes_within_its_delay() {
        // One frame in fifty takes 200 ms longer, and all behind it wait.
        let late = |n: u64| if n % 50 == 49 { 200_000 } else { 0 };
        let still = play_late(late, &[0, 200_000, 1_000_000]);
        assert_eq!((still[0], still[1..].to_vec()), (6 * (200_000 + FRAME), vec![0, 0]));
    }

    #[test]
    fn what_comes_later_than_the_players_delay_is_seen() {
        let late = |n: u64| if n == 100 { 500_000 } else { 0 };
        let still = play_late(late, &[0, 200_000, 500_000]);
        assert_eq!(still, [500_000 + FRAME, 300_000 + FRAME, 0]);
    }

    #[test]
    fn what_comes_out_of_the_servers_memory_does_not_make_a_player_later() {
        // The first second's frames come together, a second after the first of them was made.
        let at = |n: u64| if n < 30 { 30 * FRAME } else { n * FRAME };
        let (mut playout, mut tally) = (Playout::behind(100_000), ViewerTally::default());
        (0..100).for_each(|n| playout.complete(frame(n, n == 0), at(n), &mut tally));
        assert_eq!(playout.player.due(99 * 3000), 99 * FRAME + 100_000);
    }

    #[test]
    fn timestamps_may_wrap() {
        let mut player = Player { delay: 0, ..Player::default() };
        let begin = u32::MAX - 3000;
        for n in 0..5u32 {
            player.note(begin.wrapping_add(3000 * n), 1_000_000 + u64::from(n) * 33_333);
        }
        let due = player.due(begin.wrapping_add(9000));
        assert!(due.abs_diff(1_100_000) < 10, "{due}");
    }

    proptest! {
        #[test]
        fn a_player_as_late_as_the_latest_frame_never_stands_still(
            late in proptest::collection::vec(0u64..700_000, 300),
        ) {
            let longest = late.iter().copied().max().unwrap_or_default();
            // Nothing is watched before the key frame.
            let still = play_late(|n| if n == 0 { 0 } else { late[n as usize] }, &[0, longest]);
            prop_assert_eq!(still[1], 0);
        }
    }
}
