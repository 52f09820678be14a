//! Telling a publisher which layers nobody watches: when to ask for a pause and for its end (RFC 7728).

use std::time::{Duration, Instant};

/// What one layer's publisher was asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pause {
    state: State,
    /// Names the pause; counts up with each one that ended (RFC 7728 8.1).
    id: u16,
    unwatched_since: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    /// Asked to pause so often, the last time then.
    Pausing {
        asked: u8,
        at: Instant,
    },
    /// Asked to go on, first and last at.
    Resuming {
        since: Instant,
        at: Instant,
    },
}

/// What is to be asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Stop sending.
    Pause(u16),
    /// Go on.
    Resume(u16),
}

impl Pause {
    /// The publisher sends.
    pub(crate) fn new() -> Self {
        Self { state: State::Running, id: 0, unwatched_since: None }
    }

    /// Nothing keeps it from sending.
    pub(crate) fn is_running(&self) -> bool {
        self.state == State::Running
    }

    /// It was asked to pause, and not yet to go on.
    pub(crate) fn is_paused(&self) -> bool {
        matches!(self.state, State::Pausing { .. })
    }

    /// Says what to ask now. `came_since` tells whether packets came after an instant: requests may be lost, so they are
    /// repeated until they show, though a pause that is not heeded is asked for [`MOST_ASKED`] times only.
    pub(crate) fn due(
        &mut self,
        watched: bool,
        came_since: impl Fn(Instant) -> bool,
        now: Instant,
    ) -> Option<Request> {
        if watched {
            self.unwatched_since = None;
        }
        let unwatched_since = (!watched).then(|| *self.unwatched_since.get_or_insert(now));
        match (self.state, unwatched_since) {
            (State::Running, Some(since)) if now.saturating_duration_since(since) >= UNWATCHED => {
                self.state = State::Pausing { asked: 1, at: now };
                Some(Request::Pause(self.id))
            }
            (State::Pausing { .. }, None) => {
                self.state = State::Resuming { since: now, at: now };
                Some(Request::Resume(self.id))
            }
            (State::Pausing { asked, at }, Some(_))
                if asked < MOST_ASKED && came_since(at + ANSWER) && now >= at + AGAIN =>
            {
                self.state = State::Pausing { asked: asked + 1, at: now };
                Some(Request::Pause(self.id))
            }
            (State::Resuming { since, .. }, _) if came_since(since) => {
                (self.state, self.id) = (State::Running, self.id.wrapping_add(1));
                None
            }
            (State::Resuming { since, at }, _) if now >= at + ANSWER => {
                self.state = State::Resuming { since, at: now };
                Some(Request::Resume(self.id))
            }
            _ => None,
        }
    }
}

/// A layer is unwatched for so long before its publisher is asked to pause it: viewers come and go.
const UNWATCHED: Duration = Duration::from_secs(5);
/// A publisher that goes on sending does not know the request, or has its reasons.
const MOST_ASKED: u8 = 3;
const AGAIN: Duration = Duration::from_secs(1);
/// More than a round trip.
const ANSWER: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;

    #[test]
    fn a_layer_is_paused_when_nobody_watches_and_resumed_when_somebody_does() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pause = Pause::new();
        let silent = |_: Instant| false;
        assert_eq!(pause.due(false, silent, at(0)), None);
        assert_eq!(pause.due(true, silent, at(4000)), None, "somebody looked");
        assert_eq!(pause.due(false, silent, at(5000)), None);
        assert_eq!(pause.due(false, silent, at(9900)), None);
        assert_eq!(pause.due(false, silent, at(10_000)), Some(Request::Pause(0)));
        assert!(pause.is_paused());
        assert_eq!(pause.due(false, silent, at(60_000)), None, "it paused");
        assert_eq!(pause.due(true, silent, at(60_100)), Some(Request::Resume(0)));
        assert_eq!(pause.due(true, silent, at(60_300)), None);
        assert_eq!(pause.due(true, silent, at(60_700)), Some(Request::Resume(0)), "the first was lost");
        assert_eq!(pause.due(true, |_| true, at(60_900)), None);
        assert!(!pause.is_paused());
        assert_eq!(pause.due(false, silent, at(70_000)), None);
        assert_eq!(pause.due(false, silent, at(75_000)), Some(Request::Pause(1)), "another pause");
    }

    #[test]
    fn who_does_not_heed_it_is_left_alone() {
        let start = Instant::now();
        let mut pause = Pause::new();
        let asked = (0..600)
            .filter(|&step| pause.due(false, |_| true, start + Duration::from_millis(100) * step).is_some());
        assert_eq!(asked.count(), usize::from(MOST_ASKED));
    }
}
