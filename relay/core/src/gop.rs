//! The GOP cache: where in a track's history the newest key frame begins, and whether a viewer may start there.

use std::time::{Duration, Instant};

use crate::history::History;

/// Remembers the newest key frame. The packets themselves lie in the [`History`], so this costs nothing per packet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct GopCache {
    newest: Option<KeyFrame>,
}

#[derive(Clone, Copy, Debug)]
struct KeyFrame {
    position: u64,
    at: Instant,
}

impl GopCache {
    /// A key frame begins at `position`.
    pub(crate) fn key_frame(&mut self, position: u64, now: Instant) {
        if self.newest.is_none_or(|newest| newest.position < position) {
            self.newest = Some(KeyFrame { position, at: now });
        }
    }

    /// Nothing from before may start a viewer: the publisher is new.
    pub(crate) fn clear(&mut self) {
        self.newest = None;
    }

    /// Where the newest key frame begins, be it usable or not.
    pub(crate) fn position(&self) -> Option<u64> {
        self.newest.map(|newest| newest.position)
    }

    /// When the newest key frame began.
    pub(crate) fn at(&self) -> Option<Instant> {
        self.newest.map(|newest| newest.at)
    }

    /// Returns where a viewer may start now: the newest key frame, when it is no older than `age` and still in the history.
    pub(crate) fn start(&self, history: &History, now: Instant, age: Duration) -> Option<u64> {
        let newest = self.newest?;
        let fresh = now.saturating_duration_since(newest.at) <= age;
        (fresh && history.holds(newest.position)).then_some(newest.position)
    }
}
