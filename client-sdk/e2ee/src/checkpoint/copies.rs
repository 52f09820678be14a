//! Which tracks have carried the newest block: each carries it twice, because a viewer may get one track and not another.

use std::time::Duration;

/// The tracks that carry blocks. Allocates nothing once each has asked.
pub(super) struct Copies {
    tracks: Vec<Track>,
}

/// What a frame of a track does about the newest block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It carries the block.
    Carry,
    /// It does not: the track has carried the block once, and carries it again later.
    Wait,
    /// The track has carried the block as often as it must.
    Done,
}

struct Track {
    number: u8,
    /// When a frame of it could last carry a block.
    asked: Duration,
    left: u8,
    /// When it last carried this block.
    carried: Option<Duration>,
}

impl Copies {
    pub(super) fn new() -> Self {
        Self { tracks: Vec::with_capacity(TRACKS_AT_FIRST) }
    }

    /// There is another block, or, with `copies` of 0, none.
    pub(super) fn begin(&mut self, copies: u8) {
        for track in &mut self.tracks {
            (track.left, track.carried) = (copies, None);
        }
    }

    /// A frame of this track could carry the block. A track that begins owes `copies` of it; `hurry`: another block
    /// is due, so the second copy waits no longer.
    pub(super) fn turn(&mut self, number: u8, now: Duration, copies: u8, hurry: bool) -> Turn {
        let track = self.track(number, copies);
        track.asked = now;
        let soon = track.carried.is_some_and(|carried| now.saturating_sub(carried) < REPEAT_AFTER);
        match track.left {
            0 => Turn::Done,
            _ if soon && !hurry => Turn::Wait,
            _ => Turn::Carry,
        }
    }

    /// A frame of this track carries the block.
    pub(super) fn carried(&mut self, number: u8, now: Duration) {
        let track = self.track(number, 0);
        (track.left, track.carried) = (track.left.saturating_sub(1), Some(now));
    }

    /// No frame of this track can hold the block.
    pub(super) fn give_up(&mut self, number: u8) {
        self.track(number, 0).left = 0;
    }

    /// Whether each track that has frames at the moment has carried the block as often as it must.
    pub(super) fn are_made(&self, now: Duration) -> bool {
        let is_running = |track: &Track| now.saturating_sub(track.asked) < RUNNING;
        self.tracks.iter().all(|track| track.left == 0 || !is_running(track))
    }

    fn track(&mut self, number: u8, copies: u8) -> &mut Track {
        let at = self.tracks.iter().position(|track| track.number == number).unwrap_or_else(|| {
            self.tracks.push(Track { number, asked: Duration::ZERO, left: copies, carried: None });
            self.tracks.len() - 1
        });
        &mut self.tracks[at]
    }
}

/// How often each track carries a block: what loses one copy does not lose the other.
pub(super) const COPIES: u8 = 2;
/// How far apart the copies are in a track.
const REPEAT_AFTER: Duration = Duration::from_millis(250);
/// How long a track without frames is waited for: a layer may be paused, or be too much for the camera's network.
const RUNNING: Duration = Duration::from_secs(1);
/// Three layers of a picture, and sound.
const TRACKS_AT_FIRST: usize = 4;
