//! Where a leg is on its track's line: it begins, goes on after a restart, goes over to another layer, and leaves out what is late.

use std::time::{Duration, Instant};

use crate::config::RoomConfig;
use crate::history::Found;
use crate::sink::Sink;
use crate::subscription::{Stage, Subscription};
use crate::track::Track;
use crate::tracks::Tracks;
use crate::train::Train;

impl Subscription {
    /// Gets a waiting leg going, and one whose publisher restarted on to the new one. `None`: the leg waits on.
    pub(super) fn position_cursor<'a>(
        &mut self,
        tracks: &'a Tracks,
        now: Instant,
        config: &RoomConfig,
    ) -> Option<&'a Track> {
        let present = tracks.find(self.track);
        if present.is_none() {
            // Its layer was taken away.
            self.stage = Stage::Waiting;
        }
        if self.stage == Stage::Waiting {
            let (id, start) = self.start(tracks, now, config)?;
            let track = tracks.find(id)?;
            self.go_over(id, start, tracks, now);
            self.jump(start, track, config);
            return Some(track);
        }
        let track = present?;
        if self.cursor < track.begin() {
            self.filter.restart(self.filter.keep());
            self.jump(track.begin(), track, config);
        }
        Some(track)
    }

    /// Goes over to the layer chosen, if this is the moment.
    pub(super) fn cross<'a, S: Sink>(
        &mut self,
        tracks: &'a Tracks,
        track: &'a Track,
        now: Instant,
        train: &mut Train<'_, S>,
    ) -> &'a Track {
        let Some((id, start)) = self.crossing(tracks, now).filter(|_| self.layered) else { return track };
        let Some(next) = tracks.find(id) else { return track };
        self.go_over(id, start, tracks, now);
        self.cursor = start;
        self.held_since = None;
        self.forward_run(next, next.end(), now, train);
        next
    }

    fn jump(&mut self, position: u64, track: &Track, config: &RoomConfig) {
        self.cursor = position;
        self.held_since = None;
        let behind = track.end().saturating_sub(position);
        self.stage = if behind > config.catch_up_packets as u64 { Stage::CatchingUp } else { Stage::Live };
    }

    /// Keeps account of how long packets have been waiting for the pacer.
    pub(super) fn note_held(&mut self, track: &Track, now: Instant) {
        if self.cursor >= track.end() {
            self.held_since = None;
        } else if self.stage == Stage::Live {
            self.held_since.get_or_insert(now);
        }
    }

    /// A leg whose path cannot follow goes on at the newest key frame that it has not reached, between two frames. Without one
    /// it goes on where it is, so that a key frame larger than the patience gets through all the same.
    pub(super) fn skip_when_late<S: Sink>(
        &mut self,
        track: &Track,
        (now, config): (Instant, &RoomConfig),
        train: &mut Train<'_, S>,
    ) {
        let late = self.held_since.is_some_and(|since| now.saturating_duration_since(since) >= PATIENCE);
        if !late || !train.is_paced() {
            return;
        }
        let between = match track.find(self.cursor) {
            Found::Packet(facts, _) => facts.timestamp != self.timestamp,
            Found::Missing | Found::Gone => true,
        };
        if between
            && track.is_video()
            && let Some(start) = track.gop_start(now, config.gop_age).filter(|start| *start > self.cursor)
        {
            self.cursor = start;
            self.held_since = Some(now);
            train.stats().skips += 1;
        }
    }
}

/// How long a leg may be behind its pacer before it leaves out what a newer key frame makes needless.
const PATIENCE: Duration = Duration::from_millis(500);
