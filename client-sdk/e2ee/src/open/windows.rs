//! The replay windows of one epoch, by key id: which are at hand, which rest, and which are given up.

use std::collections::{BTreeMap, BTreeSet};

use crate::cipher::OpeningKey;
use crate::key_schedule::EpochKeys;
use crate::kid::Kid;
use crate::replay::{ReplayWindow, WINDOW};

/// The windows of all key ids under which a frame was opened in one epoch.
///
/// Those in use lie at hand with their keys. The others rest without, 136 bytes each, so that nothing opens twice
/// however often the sender changes. When [`MAX_RESTING`] rest, the one that was used longest ago is given up, and
/// those that the camera signed frames under come last: a camera has fewer sessions in an epoch
/// ([`crate::group::MAX_SESSIONS`]), so this happens only where a member forges, and whoever forges need not
/// replay.
#[derive(Default)]
pub(super) struct Windows {
    /// The most recently used one last.
    live: Vec<LiveKid>,
    /// By key id, with the turn in which each was put to rest.
    resting: BTreeMap<Kid, (u64, ReplayWindow)>,
    turn: u64,
    /// Key ids under which the camera signed frames.
    named: BTreeSet<Kid>,
}

/// A key id in use.
pub(super) struct LiveKid {
    kid: Kid,
    pub(super) key: OpeningKey,
    pub(super) window: ReplayWindow,
}

impl Windows {
    /// The key and window of a key id under which something was opened before.
    pub(super) fn live(&mut self, kid: Kid, keys: &EpochKeys) -> Option<&mut LiveKid> {
        if let Some(at) = self.live.iter().position(|live| live.kid == kid) {
            if let Some(used) = self.live.get_mut(at..) {
                used.rotate_left(1);
            }
        } else {
            let key = self.resting.contains_key(&kid).then(|| keys.opening_key(kid))??;
            let (_, window) = self.resting.remove(&kid)?;
            self.push(LiveKid { kid, key, window });
        }
        self.live.last_mut()
    }

    /// Remembers a key id under which the first frame was opened.
    pub(super) fn begin(&mut self, kid: Kid, key: OpeningKey, ctr: u64) {
        let mut window = ReplayWindow::new();
        window.accept(ctr);
        self.push(LiveKid { kid, key, window });
    }

    /// The camera signed frames under this key id.
    pub(super) fn name(&mut self, kid: Kid) {
        if self.named.len() < MAX_RESTING {
            self.named.insert(kid);
        }
    }

    /// Puts a window back to `end` where much higher counters were opened.
    pub(super) fn set_back(&mut self, kid: Kid, end: u64) {
        let window = match self.live.iter_mut().find(|live| live.kid == kid) {
            Some(live) => Some(&mut live.window),
            None => self.resting.get_mut(&kid).map(|(_, window)| window),
        };
        // Less than that is what the camera sealed since it signed; nothing of it is too old.
        if let Some(window) = window.filter(|window| window.next().saturating_sub(end) > WINDOW / 2) {
            *window = ReplayWindow::after(end);
        }
    }

    /// The key ids under which more was opened than `last` says.
    pub(super) fn beyond(&self, last: &[(Kid, u64)]) -> Vec<Kid> {
        let live = self.live.iter().map(|live| (live.kid, &live.window));
        let resting = self.resting.iter().map(|(kid, (_, window))| (*kid, window));
        let beyond = |(kid, window): &(Kid, &ReplayWindow)| {
            let last = last.iter().find(|(of, _)| of == kid);
            last.is_some_and(|(_, last)| window.next() > last.saturating_add(1))
        };
        live.chain(resting).filter(beyond).map(|(kid, _)| kid).collect()
    }

    /// How many lie at hand, and how many rest.
    #[cfg(test)]
    pub(super) fn count(&self) -> (usize, usize) {
        (self.live.len(), self.resting.len())
    }

    fn push(&mut self, live: LiveKid) {
        if self.live.len() >= MAX_LIVE {
            let unnamed = self.live.iter().position(|live| !self.named.contains(&live.kid));
            let LiveKid { kid, window, .. } = self.live.remove(unnamed.unwrap_or(0));
            self.rest(kid, window);
        }
        self.live.push(live);
    }

    fn rest(&mut self, kid: Kid, window: ReplayWindow) {
        if self.resting.len() >= MAX_RESTING {
            let oldest = self.resting.iter().min_by_key(|(kid, (turn, _))| (self.named.contains(kid), *turn));
            if let Some(kid) = oldest.map(|(kid, _)| *kid) {
                self.resting.remove(&kid);
            }
        }
        self.turn += 1;
        self.resting.insert(kid, (self.turn, window));
    }
}

/// Key ids at hand per epoch: video, audio and spare tracks of the last sessions.
pub(super) const MAX_LIVE: usize = 32;
/// Windows per epoch that rest: about 700 KB.
pub(super) const MAX_RESTING: usize = 4096;
