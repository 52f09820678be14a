//! Whether frames are live: judged by the camera's own answer, not by anybody's wall clock.

use std::time::Duration;

use latchkey_api::checks::{self, Check};
use latchkey_e2ee::freshness::{Arrival, Freshness};
use latchkey_e2ee::kid::Kid;
use latchkey_e2ee::open::Opened;
use latchkey_wire::codec::MediaKind;
use web_time::Instant;

use crate::alarm::Alarm;

/// Judges the frames of one viewer.
pub struct Live {
    began: Instant,
    /// The newest answer: how far the camera had counted.
    answer: Option<Freshness>,
    /// The answer that came quickest: what the camera's clock shows. A server may hold back others.
    clock: Option<(Duration, Freshness)>,
    /// A new connection begins with what the relay has kept: its frames are older at first.
    connected: Instant,
    /// Since when all frames of picture and of sound have come too late.
    late_since: [Option<Instant>; 2],
    /// Picture and sound are marked as held back.
    delayed: [bool; 2],
    alarmed: [Option<Instant>; 2],
    now: Option<bool>,
}

/// What is done with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It shows what the camera sees now.
    Live,
    /// It is shown, but not as live: it is late, or the camera has not answered yet.
    NotLive,
    /// It is older than anything a relay keeps: it is not shown.
    Stale,
}

impl Live {
    /// Nothing is known of the camera yet.
    pub fn new(began: Instant) -> Self {
        Self {
            began,
            answer: None,
            clock: None,
            connected: began,
            late_since: [None; 2],
            delayed: [false; 2],
            alarmed: [None; 2],
            now: None,
        }
    }

    /// The camera answered. `asked` and `answered` are this device's moments, the rest is the camera's word.
    pub fn answered(&mut self, asked: Instant, answered: Instant, camera_ms: u64, next: Vec<(Kid, u64)>) {
        let since = |moment: Instant| moment.saturating_duration_since(self.began);
        let answer = Freshness::new(since(asked), since(answered), camera_ms, next);
        let at = since(answered);
        let is_better = self.clock.as_ref().is_none_or(|(given, clock)| {
            let is_old = at.saturating_sub(*given) >= CLOCK_TRUSTED;
            is_old || answer.round_trip() <= clock.round_trip() || !agree(&answer, clock, at)
        });
        if is_better {
            self.clock = Some((at, answer.clone()));
        }
        self.answer = Some(answer);
    }

    /// Frames come over a new connection.
    pub fn new_connection(&mut self, now: Instant) {
        self.connected = now;
        self.late_since = [None; 2];
    }

    /// Whether the last frame was live; nothing while the camera has not answered.
    pub fn now(&self) -> Option<bool> {
        self.now
    }

    /// Judges a frame that came at `now`; returns the alarm that is due, too.
    pub fn judge(&mut self, kind: MediaKind, opened: &Opened, now: Instant) -> (Judged, Option<Alarm>) {
        let (Some(answer), Some((_, clock))) = (&self.answer, &self.clock) else {
            return (Judged::NotLive, None);
        };
        let track = usize::from(kind == MediaKind::Audio);
        let arrival = Arrival {
            at: now.saturating_duration_since(self.began),
            captured_ms: opened.header.captured_ms,
            kid: opened.kid,
            ctr: opened.ctr,
        };
        let (youngest, oldest) = clock.age_ms(&arrival);
        let behind = answer.frames_behind(&arrival);
        if youngest > ms(LONGEST_GOP) && behind != Some(0) && !checks::skipped(Check::FrameReplay) {
            self.now = Some(false);
            let alarm = match behind {
                Some(frames) => Alarm::Replayed { frames },
                None => Alarm::Delayed { ms: u64::try_from(youngest).unwrap_or(u64::MAX) },
            };
            return (Judged::Stale, self.alarm(REPLAYED, alarm, now));
        }
        let age = (youngest + oldest) / 2;
        let allowed = ms(SHORTEST_ALLOWED.max(clock.round_trip() + BEYOND_ROUND_TRIP));
        if age <= allowed {
            self.late_since[track] = None;
            self.delayed[track] = false;
        }
        let is_late = age > allowed
            && !checks::skipped(Check::FrameDelay)
            && now.saturating_duration_since(self.connected) >= CATCHING_UP;
        let mut alarm = None;
        if is_late {
            let since = *self.late_since[track].get_or_insert(now);
            if now.saturating_duration_since(since) >= SUSTAINED && !self.delayed[track] {
                self.delayed[track] = true;
                let ms = u64::try_from(age).unwrap_or(u64::MAX);
                alarm = self.alarm(DELAYED, Alarm::Delayed { ms }, now);
            }
        }
        // An answer that was held back proves nothing about the age.
        let in_time = oldest <= ms(Freshness::ALLOWED_AGE) || checks::skipped(Check::FrameDelay);
        let is_live = in_time && !self.delayed[track];
        self.now = Some(is_live);
        (if is_live { Judged::Live } else { Judged::NotLive }, alarm)
    }

    fn alarm(&mut self, kind: usize, alarm: Alarm, now: Instant) -> Option<Alarm> {
        let before = self.alarmed[kind];
        if before.is_some_and(|before| now.saturating_duration_since(before) < ALARM_AGAIN) {
            return None;
        }
        self.alarmed[kind] = Some(now);
        Some(alarm)
    }
}

/// Whether two answers can be of one clock that was not set in between.
fn agree(one: &Freshness, other: &Freshness, at: Duration) -> bool {
    let Some(kid) = Kid::from_value(0) else { return false };
    let moment = Arrival { at, captured_ms: 0, kid, ctr: 0 };
    let ((least, most), (other_least, other_most)) = (one.age_ms(&moment), other.age_ms(&moment));
    least <= other_most + ms(BEYOND_ROUND_TRIP) && other_least <= most + ms(BEYOND_ROUND_TRIP)
}

fn ms(duration: Duration) -> i128 {
    i128::try_from(duration.as_millis()).unwrap_or(i128::MAX)
}

const DELAYED: usize = 0;
const REPLAYED: usize = 1;
/// What a relay keeps of the picture, and how long it may take to come.
const LONGEST_GOP: Duration = Duration::from_secs(11);
/// The age that frames may always have.
const SHORTEST_ALLOWED: Duration = Duration::from_secs(1);
/// The age that frames may have beyond the time that question and answer took.
const BEYOND_ROUND_TRIP: Duration = Duration::from_millis(500);
/// How long the quickest answer tells the camera's clock: clocks drift.
const CLOCK_TRUSTED: Duration = Duration::from_secs(600);
/// How long every frame must have been late before that is called a delay.
const SUSTAINED: Duration = Duration::from_secs(2);
/// How long a new connection has for what the relay has kept.
const CATCHING_UP: Duration = Duration::from_secs(3);
/// How soon the same alarm is raised again.
const ALARM_AGAIN: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use latchkey_e2ee::inner::InnerHeader;
    use latchkey_e2ee::kid::{SenderSession, VIDEO};
    use latchkey_wire::codec::Codec;

    const CAMERA_MS: u64 = 1_000_000;

    fn kid(session: u32) -> Kid {
        Kid::new(SenderSession(session), VIDEO, 0, 1)
    }

    fn frame(session: u32, ctr: u64, captured_ms: u64) -> Opened {
        let header = InnerHeader { captured_ms, key_frame: false, codec: Codec::Vp8 };
        let kid = kid(session);
        Opened { header, kid, sender_leaf: 0, session: kid.session(), track: VIDEO, ctr, epoch: 1 }
    }

    /// Asked at 0, answered after `round_trip`, when the camera had sealed 300 frames. Returns the moment of
    /// the answer.
    fn answered(round_trip: u64) -> (Live, Instant) {
        let began = Instant::now();
        let mut live = Live::new(began);
        let answered = began + Duration::from_millis(round_trip);
        live.answered(began, answered, CAMERA_MS, vec![(kid(1), 300)]);
        (live, answered)
    }

    /// Frames at 25 per second that come `age` late, from `from` ms after the answer on; returns what is said
    /// of the last one, and the alarms.
    fn play(live: &mut Live, answered: Instant, from: u64, to: u64, age: u64) -> (Judged, Vec<&'static str>) {
        let (mut last, mut alarms) = (Judged::NotLive, Vec::new());
        for at in (from..to).step_by(40) {
            let opened = frame(1, 300 + at / 40, CAMERA_MS + at - age);
            let (judged, alarm) = live.judge(MediaKind::Video, &opened, answered + Duration::from_millis(at));
            last = judged;
            alarms.extend(alarm.map(|alarm| alarm.code()));
        }
        (last, alarms)
    }

    #[test]
    fn nothing_is_live_before_the_camera_answered() {
        let mut live = Live::new(Instant::now());
        assert_eq!(live.judge(MediaKind::Video, &frame(1, 0, 5), Instant::now()), (Judged::NotLive, None));
        assert_eq!(live.now(), None);
    }

    #[test]
    fn frames_of_now_are_live() {
        let (mut live, at) = answered(100);
        assert_eq!(play(&mut live, at, 200, 10_000, 150), (Judged::Live, vec![]));
        assert_eq!(live.now(), Some(true));
    }

    #[test]
    fn what_the_relay_kept_raises_no_alarm() {
        let (mut live, at) = answered(100);
        live.new_connection(at);
        for ctr in 50..300 {
            let captured = CAMERA_MS - (300 - ctr) * 40;
            let (judged, alarm) = live.judge(MediaKind::Video, &frame(1, ctr, captured), at);
            assert!(judged != Judged::Stale && alarm.is_none(), "{ctr}");
        }
        assert_eq!(play(&mut live, at, 200, 10_000, 150), (Judged::Live, vec![]));
    }

    #[test]
    fn a_group_of_pictures_from_long_ago_is_not_shown() {
        let (mut live, at) = answered(100);
        live.new_connection(at);
        let (judged, alarm) = live.judge(MediaKind::Video, &frame(1, 10, CAMERA_MS - 11_600), at);
        assert_eq!((judged, alarm), (Judged::Stale, Some(Alarm::Replayed { frames: 289 })));
        let again = live.judge(MediaKind::Video, &frame(1, 11, CAMERA_MS - 11_560), at);
        assert_eq!(again, (Judged::Stale, None), "told once");
        // Of an earlier run of the camera, which the answer does not name.
        let (judged, _) = live.judge(MediaKind::Video, &frame(9, 0, CAMERA_MS - 60_000), at);
        assert_eq!(judged, Judged::Stale);
        let (judged, _) = live.judge(MediaKind::Video, &frame(9, 0, CAMERA_MS - 100), at);
        assert_eq!(judged, Judged::Live, "a camera that has just restarted");
    }

    #[test]
    fn a_constant_delay_is_an_alarm_after_two_seconds_and_over_when_it_is_over() {
        let (mut live, at) = answered(100);
        let (judged, alarms) = play(&mut live, at, 3000, 4900, 5000);
        assert!(alarms.is_empty(), "not at once");
        assert_eq!(judged, Judged::NotLive);
        assert_eq!(play(&mut live, at, 4900, 9000, 5000), (Judged::NotLive, vec!["delayed"]));
        assert_eq!(play(&mut live, at, 9000, 12_000, 100), (Judged::Live, vec![]));
        // Less than the allowed age of a proof, and late all the same.
        assert_eq!(play(&mut live, at, 42_000, 46_000, 1500), (Judged::NotLive, vec!["delayed"]));
    }

    #[test]
    fn a_late_frame_now_and_then_is_none() {
        let (mut live, at) = answered(100);
        for second in 1..20 {
            let from = second * 1000;
            assert!(play(&mut live, at, from, from + 900, 3000).1.is_empty());
            assert!(play(&mut live, at, from + 900, from + 1000, 100).1.is_empty());
        }
    }

    #[test]
    fn answers_that_are_held_back_later_hide_no_delay() {
        let (mut live, at) = answered(100);
        let later = at + Duration::from_secs(20);
        // Asked 10 s before, answered by the camera at once.
        live.answered(at + Duration::from_secs(10), later, CAMERA_MS + 10_000, vec![(kid(1), 550)]);
        assert_eq!(play(&mut live, at, 20_000, 24_000, 5000), (Judged::NotLive, vec!["delayed"]));
        // The camera's clock was set: then the new answer counts.
        live.answered(later, later + Duration::from_secs(1), CAMERA_MS - 600_000, vec![(kid(1), 800)]);
        let opened = frame(1, 801, CAMERA_MS - 600_000 - 100);
        assert_eq!(live.judge(MediaKind::Video, &opened, later + Duration::from_secs(1)).0, Judged::Live);
    }

    #[test]
    fn an_answer_that_took_long_allows_more_and_proves_nothing() {
        let (mut live, at) = answered(6000);
        assert_eq!(play(&mut live, at, 5000, 9000, 2500), (Judged::NotLive, vec![]));
        assert_eq!(play(&mut live, at, 9000, 13_000, 5000), (Judged::NotLive, vec!["delayed"]));
    }
}
