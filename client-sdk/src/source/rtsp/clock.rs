//! When pictures and sound of a camera happened, on one clock that goes on over lost connections.
//!
//! Each RTP stream counts from a start of its own (RFC 3550 section 5.1). What says how far apart the two are is, best
//! first: sender reports, the `RTP-Info` of the PLAY response (which retina has taken into the seconds given here),
//! and when packets came. Many cameras report wrongly; who is more than three quarters of a second off what came is not believed.

use std::time::{Duration, Instant};

use crate::frame::TrackKind;
use crate::source::rtsp::packets::Report;

/// The source's clock: zero at the first picture shown.
pub(crate) struct Clock {
    started: Option<Instant>,
    began: Instant,
    picture: Stream,
    sound: Stream,
    /// What the picture's clock must be moved by: new with each connection.
    shift: Option<Shift>,
    /// What the sound's clock must be moved by to be the picture's, in seconds.
    skew: Option<f64>,
    last_picture: Option<Duration>,
    last_sound: Option<Duration>,
    /// Usual time between two pictures.
    interval: Duration,
}

#[derive(Clone, Copy)]
struct Shift {
    camera: f64,
    ours: Duration,
}

/// What is known of one stream's clock.
#[derive(Clone, Copy, Default)]
struct Stream {
    first: Option<f64>,
    previous: f64,
    /// Arrival minus the stream's own time, for packets that came soonest.
    soonest: Option<f64>,
    /// The camera's wall clock minus the stream's own time.
    reported: Option<f64>,
}

impl Stream {
    /// Whether the stream's clock was set anew here.
    fn follow(&mut self, seconds: f64, arrived: f64) -> bool {
        let step = seconds - self.previous;
        let anew = self.first.is_some() && !PLAUSIBLE_JUMP.contains(&step);
        if anew {
            *self = Self::default();
        }
        let late = arrived - seconds;
        // Rises slowly, so that two clocks of different speed do not drift apart unseen.
        let soonest = self.soonest.map_or(late, |soonest| late.min(soonest + step.max(0.0) * MOST_DRIFT));
        self.soonest = Some(soonest);
        self.first.get_or_insert(seconds);
        self.previous = seconds;
        anew
    }
}

impl Clock {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            started: None,
            began: now,
            picture: Stream::default(),
            sound: Stream::default(),
            shift: None,
            skew: None,
            last_picture: None,
            last_sound: None,
            interval: Duration::from_millis(40),
        }
    }

    /// A new connection: both streams start anew. Sound is heard again when there is a picture.
    pub(crate) fn reconnected(&mut self) {
        self.picture = Stream::default();
        self.sound = Stream::default();
        self.shift = None;
        self.skew = None;
    }

    /// Takes note of a picture, shown or not: `seconds` of its stream's clock.
    pub(crate) fn follow_picture(&mut self, seconds: f64, arrived: Instant) {
        if self.picture.follow(seconds, self.since_began(arrived)) {
            self.shift = None;
            self.skew = None;
        }
    }

    /// Takes note of a sender report.
    pub(crate) fn follow_report(&mut self, report: Report) {
        let stream = match report.track {
            TrackKind::Video => &mut self.picture,
            TrackKind::Audio => &mut self.sound,
        };
        stream.reported = Some(report.wall - report.seconds);
    }

    /// Time and usual duration of a picture that is shown; the time is never earlier than the last.
    pub(crate) fn picture(&mut self, seconds: f64, arrived: Instant) -> (Duration, Duration) {
        let started = *self.started.get_or_insert(arrived);
        let ours = match self.last_picture {
            None => Duration::ZERO,
            Some(last) => arrived.saturating_duration_since(started).max(last + self.interval),
        };
        let shift = *self.shift.get_or_insert(Shift { camera: seconds, ours });
        let since = Duration::try_from_secs_f64(seconds - shift.camera).unwrap_or_default();
        let pts = (shift.ours + since).max(self.last_picture.unwrap_or_default());
        let step = self.last_picture.map(|last| pts - last);
        if let Some(step) = step.filter(|step| PLAUSIBLE_INTERVAL.contains(step)) {
            self.interval = step;
        }
        self.last_picture = Some(pts);
        (pts, self.interval)
    }

    /// Time of a packet of sound, later than the last. `None` for what belongs before the first picture, or before
    /// the sound that was given already.
    pub(crate) fn sound(&mut self, seconds: f64, arrived: Instant) -> Option<Duration> {
        if self.sound.follow(seconds, self.since_began(arrived)) {
            self.skew = None;
        }
        let shift = self.shift?;
        let skew = self.skew()?;
        let since = Duration::try_from_secs_f64(seconds + skew - shift.camera).ok()?;
        let pts = shift.ours + since;
        if self.last_sound.is_some_and(|last| pts < last + SHORTEST_SOUND) {
            return None;
        }
        self.last_sound = Some(pts);
        Some(pts)
    }

    /// Kept as long as it fits, because each change is heard.
    fn skew(&mut self) -> Option<f64> {
        let came = self.sound.soonest? - self.picture.soonest?;
        let believable = |skew: f64| (skew - came).abs() < BELIEVABLE;
        let reported = self.sound.reported.zip(self.picture.reported).map(|(sound, picture)| sound - picture);
        // Without RTP-Info each stream's first packet is its zero, which says nothing.
        let named = (self.sound.first != Some(0.0) || self.picture.first != Some(0.0)).then_some(0.0);
        let (skew, tolerated) = match (reported, named) {
            (Some(skew), _) if believable(skew) => (skew, UNNOTICED),
            (_, Some(skew)) if believable(skew) => (skew, UNNOTICED),
            _ => (came, NETWORK_JITTER),
        };
        if self.skew.is_none_or(|used| (used - skew).abs() > tolerated) {
            self.skew = Some(skew);
        }
        self.skew
    }

    fn since_began(&self, arrived: Instant) -> f64 {
        arrived.saturating_duration_since(self.began).as_secs_f64()
    }
}

const PLAUSIBLE_INTERVAL: std::ops::Range<Duration> = Duration::from_millis(4)..Duration::from_secs(2);
/// Opus packets last 2.5 ms or more; rounding is left room.
const SHORTEST_SOUND: Duration = Duration::from_millis(2);
/// Seconds from one packet or picture to the next; else the camera has set its clock anew.
const PLAUSIBLE_JUMP: std::ops::Range<f64> = -1.0..10.0;
/// Seconds: no live camera sends sound so much earlier or later than its picture.
const BELIEVABLE: f64 = 0.75;
/// Seconds that nobody sees between lips and voice (EBU R 37: 40 ms early, 60 ms late).
const UNNOTICED: f64 = 0.04;
/// Seconds by which arrival may differ without that the streams have moved.
const NETWORK_JITTER: f64 = 0.1;
/// Between two clocks; crystals are ten times better.
const MOST_DRIFT: f64 = 0.001;

#[cfg(test)]
mod tests {
    use super::*;

    struct Camera {
        clock: Clock,
        zero: Instant,
    }

    impl Camera {
        fn new() -> Self {
            let zero = Instant::now();
            Self { clock: Clock::new(zero), zero }
        }

        fn at(&self, ms: u64) -> Instant {
            self.zero + Duration::from_millis(ms)
        }

        fn picture(&mut self, seconds: f64, arrived: u64) -> u128 {
            self.clock.follow_picture(seconds, self.at(arrived));
            self.clock.picture(seconds, self.at(arrived)).0.as_millis()
        }

        fn sound(&mut self, seconds: f64, arrived: u64) -> Option<u128> {
            let pts = self.clock.sound(seconds, self.at(arrived))?;
            Some((pts + Duration::from_micros(500)).as_millis())
        }

        fn report(&mut self, track: TrackKind, seconds: f64, wall: f64) {
            self.clock.follow_report(Report { track, seconds, wall });
        }
    }

    #[test]
    fn sound_waits_for_the_picture() {
        let mut camera = Camera::new();
        assert_eq!(camera.sound(0.0, 0), None);
        assert_eq!(camera.picture(0.0, 500), 0);
        assert_eq!(camera.sound(0.48, 480), None);
        assert_eq!(camera.sound(0.52, 520), Some(20));
    }

    #[test]
    fn without_reports_arrival_decides_and_late_packets_change_nothing() {
        let mut camera = Camera::new();
        assert_eq!(camera.picture(0.0, 100), 0);
        assert_eq!(camera.sound(0.0, 140), Some(40));
        assert_eq!(camera.sound(0.02, 900), Some(60));
        assert_eq!(camera.picture(0.04, 950), 40);
        assert_eq!(camera.sound(0.04, 951), Some(80));
    }

    #[test]
    fn rtp_info_is_believed_when_it_can_be_true() {
        let mut camera = Camera::new();
        assert_eq!(camera.picture(1.0, 1200), 0);
        assert_eq!(camera.sound(1.1, 1150), Some(100));
        let mut camera = Camera::new();
        assert_eq!(camera.picture(40_000.0, 1200), 0);
        assert_eq!(camera.sound(1.1, 1250), Some(50));
    }

    #[test]
    fn reports_bring_lips_and_voice_together_once() {
        let mut camera = Camera::new();
        assert_eq!(camera.picture(0.0, 300), 0);
        assert_eq!(camera.sound(0.0, 300), Some(0));
        // In truth the sound was 260 ms earlier than the picture that came with it.
        camera.report(TrackKind::Video, 0.1, 3_900_000_000.1);
        assert_eq!(camera.sound(0.02, 320), Some(20));
        camera.report(TrackKind::Audio, 0.1, 3_899_999_999.84);
        let given: Vec<_> =
            (2_u32..20).filter_map(|n| camera.sound(f64::from(n) * 0.02, 300 + u64::from(n) * 20)).collect();
        // What was given already is not given again; after that the times are right.
        assert_eq!(given, [40, 60, 80, 100, 120]);
        camera.report(TrackKind::Audio, 0.5, 3_900_000_000.25);
        assert_eq!(camera.sound(0.4, 700), Some(140));
        // Reports that cannot be true are not followed: the sound moves to where it came.
        camera.report(TrackKind::Audio, 0.5, 77.0);
        assert_eq!(camera.sound(0.42, 720), Some(420));
    }

    #[test]
    fn a_clock_set_anew_is_followed() {
        let mut camera = Camera::new();
        assert_eq!(camera.picture(0.0, 0), 0);
        assert_eq!(camera.sound(0.0, 1), Some(1));
        assert_eq!(camera.sound(-5000.0, 41), Some(41));
        assert_eq!(camera.sound(-4999.98, 61), Some(61));
        assert_eq!(camera.picture(900.0, 80), 80);
        assert_eq!(camera.sound(-4999.96, 81), Some(81));
    }

    #[test]
    fn time_goes_on_over_a_lost_connection() {
        let mut camera = Camera::new();
        assert_eq!(camera.picture(7.0, 0), 0);
        assert_eq!(camera.sound(7.02, 20), Some(20));
        camera.clock.reconnected();
        assert_eq!(camera.sound(0.0, 4990), None);
        assert_eq!(camera.picture(0.0, 5000), 5000);
        assert_eq!(camera.sound(0.03, 5020), Some(5020));
    }
}
