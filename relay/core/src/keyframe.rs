//! When to ask the publisher for a key frame: everyone's wishes merged into at most one request per interval.

use std::time::{Duration, Instant};

/// Merges key-frame wishes of one track.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyFrames {
    interval: Duration,
    longest_gap: Duration,
    wanted: bool,
    requested: Option<Instant>,
    /// When the first request was sent that no key frame has answered yet.
    unanswered: Option<Instant>,
    arrived: Option<Instant>,
    watched_since: Option<Instant>,
}

impl KeyFrames {
    /// At most one request per `interval`; a watched track gets one after `longest_gap` without a key frame.
    pub(crate) fn new(interval: Duration, longest_gap: Duration) -> Self {
        Self {
            interval,
            longest_gap,
            wanted: false,
            requested: None,
            unanswered: None,
            arrived: None,
            watched_since: None,
        }
    }

    /// Somebody needs a key frame.
    pub(crate) fn want(&mut self) {
        self.wanted = true;
    }

    /// A key frame begins; whoever wanted one has it. Returns how long ago it was first asked for, if it was.
    pub(crate) fn arrived(&mut self, now: Instant) -> Option<Duration> {
        self.wanted = false;
        self.arrived = Some(now);
        self.unanswered.take().map(|asked| now.saturating_duration_since(asked))
    }

    /// The publisher is new: what was asked of the old one does not count.
    pub(crate) fn restart(&mut self) {
        self.wanted = false;
        self.requested = None;
        self.unanswered = None;
        self.arrived = None;
        self.watched_since = None;
    }

    /// Says whether to send a request now, and notes that it is sent.
    pub(crate) fn request(&mut self, watched: bool, now: Instant) -> bool {
        if watched {
            self.watched_since.get_or_insert(now);
        } else {
            self.watched_since = None;
        }
        let since = [self.watched_since, self.arrived, self.requested].into_iter().flatten().max();
        let overdue =
            watched && since.is_some_and(|since| now.saturating_duration_since(since) >= self.longest_gap);
        let allowed = self.requested.is_none_or(|last| now.saturating_duration_since(last) >= self.interval);
        if !allowed || !(self.wanted || overdue) {
            return false;
        }
        self.wanted = false;
        self.requested = Some(now);
        self.unanswered.get_or_insert(now);
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;

    fn key_frames() -> KeyFrames {
        KeyFrames::new(Duration::from_secs(1), Duration::from_secs(4))
    }

    #[test]
    fn many_wishes_are_one_request_a_second() {
        let start = Instant::now();
        let mut frames = key_frames();
        let mut requests = 0;
        for milliseconds in 0..3000 {
            frames.want();
            requests += usize::from(frames.request(true, start + Duration::from_millis(milliseconds)));
        }
        assert_eq!(requests, 3);
    }

    #[test]
    fn a_key_frame_fulfils_the_wish() {
        let start = Instant::now();
        let mut frames = key_frames();
        frames.want();
        assert!(frames.request(true, start));
        frames.want();
        let waited = frames.arrived(start + Duration::from_millis(300));
        assert_eq!(waited, Some(Duration::from_millis(300)));
        assert_eq!(frames.arrived(start + Duration::from_millis(400)), None, "nobody asked for this one");
        assert!(!frames.request(true, start + Duration::from_secs(2)));
    }

    #[test]
    fn a_watched_track_is_never_long_without() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut frames = key_frames();
        assert!(!frames.request(false, at(0)));
        assert!(!frames.request(false, at(100)), "nobody watches");
        assert!(!frames.request(true, at(101)));
        assert!(frames.request(true, at(105)));
        frames.arrived(at(106));
        assert!(!frames.request(true, at(109)));
        assert!(frames.request(true, at(110)));
    }
}
