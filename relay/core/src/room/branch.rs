//! A room that spans threads: the home has the publisher, branches have viewers and the same packets at the same positions.
//!
//! ```text
//! home     ingest -> history -> hand_on ──parcel──▶ branch: take_in -> history -> forward
//!          hand_again, key_frame_wanted ◀──────────         its PacketsMissing and KeyFrameWanted events
//! ```
//!
//! A branch is a [`Room`] like any other towards its viewers; it judges, orders and times nothing anew.

use std::time::Instant;

use crate::event::MissingPackets;
use crate::id::TrackId;
use crate::parcel::Parcel;
use crate::room::{Room, TICK};
use crate::track::{Track, TrackParams};

/// How far the packets that a new branch begins with have been put into parcels; see [`Room::seed`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Seeding {
    track: usize,
    next: u64,
}

impl Room {
    /// The first branch opens: what comes from now on goes into parcels. What is there already goes by [`seed`](Self::seed).
    pub fn begin_handing_on(&mut self) {
        self.tracks.iter_mut().for_each(Track::begin_handing_on);
    }

    /// Puts what came since the last call into `parcel`, as much as fits; call it before every [`forward`](Self::forward)
    /// and [`handle_timeout`](Self::handle_timeout) while there are branches. False when there is more: send this parcel,
    /// go on with an empty one.
    pub fn hand_on(&mut self, parcel: &mut Parcel) -> bool {
        self.tracks.iter_mut().all(|track| track.hand_on(parcel).is_ok())
    }

    /// Puts what a new branch begins with into `parcel`: every track from its newest key frame to what was handed on. False
    /// when there is more.
    pub fn seed(&self, seeding: &mut Seeding, parcel: &mut Parcel) -> bool {
        while let Some(place) = self.tracks.at(seeding.track) {
            if let Some(track) = place
                && track.seed(&mut seeding.next, parcel).is_err()
            {
                return false;
            }
            *seeding = Seeding { track: seeding.track + 1, next: 0 };
        }
        true
    }

    /// Puts what a branch misses into `parcel`, as far as it is there and fits: the answer to a branch's
    /// [`PacketsMissing`](crate::event::Event::PacketsMissing).
    pub fn hand_again(&self, track: TrackId, missing: &MissingPackets, parcel: &mut Parcel) {
        if let Some(track) = self.tracks.find(track) {
            track.hand_again(missing, parcel);
        }
    }

    /// A branch needs a key frame. Merged with all other wishes for one.
    pub fn key_frame_wanted(&mut self, track: TrackId, now: Instant) {
        if let Some(track) = self.tracks.find_mut(track) {
            track.want_key_frame(now, &mut self.news);
        }
    }

    /// Viewers of some branch watch a track, or none does any more: what the branches'
    /// [`WatchChanged`](crate::event::Event::WatchChanged) events say together.
    pub fn set_watched_elsewhere(&mut self, track: TrackId, watched: bool) {
        if let Some(track) = self.tracks.find_mut(track) {
            track.set_watched_elsewhere(watched);
        }
    }

    /// Tracks that a pause holds back: what a new branch is told by [`set_paused_at_home`](Self::set_paused_at_home).
    pub fn held_back(&self) -> impl Iterator<Item = TrackId> + '_ {
        self.tracks.iter().filter(|track| track.is_held_back()).map(Track::id)
    }

    /// The home says whether a pause holds a track back: what its
    /// [`PauseChanged`](crate::event::Event::PauseChanged) event says. It can be chosen all the same, and comes when it is.
    pub fn set_paused_at_home(&mut self, track: TrackId, paused: bool) {
        if let Some(track) = self.tracks.find_mut(track) {
            track.set_paused_at_home(paused);
        }
    }

    /// Makes this room a branch for a track of its home, under the name it has there. A track of that name with the same
    /// codec goes on; one with another codec must be [unpublished](Self::unpublish) before.
    pub fn follow(&mut self, id: TrackId, params: TrackParams, now: Instant) {
        match self.tracks.find_mut(id) {
            Some(track) if track.params().codec == params.codec && track.params().first == params.first => {
                track.renew(params);
            }
            _ => self.tracks.insert(Track::following(id, params, &self.config)),
        }
        self.next_tick.get_or_insert(now + TICK);
    }

    /// Takes in what the home handed over. It is sent with the next [`forward`](Self::forward). The home has counted it.
    pub fn take_in(&mut self, parcel: &Parcel, now: Instant) {
        for head in parcel.heads() {
            if let Some(track) = self.tracks.find_mut(head.track) {
                track.take_head(head, now);
            }
        }
        for (id, position, facts, parts) in parcel.packets() {
            if let Some(track) = self.tracks.find_mut(id) {
                track.take_packet(position, facts, parts, now);
            }
        }
        for track in self.tracks.iter_mut() {
            track.ask(now, &mut self.news);
        }
    }
}
