//! The rooms of a shard.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use latchkey_relay_core::{Room, RoomConfig, TrackId, TrackParams};
use latchkey_wire::codec::{Codec, MediaKind};
use latchkey_wire::id::RoomId;

use crate::shard::command::PublishedTrack;
use crate::shard::counters::Tally;
use crate::shard::counters::events::Gauge;
use crate::shard::hold::Hold;
use crate::shard::peer::PeerKey;
use crate::shard::timers::Armed;
use crate::shard::traffic::{RoomFigures, RoomTraffic};

/// A room with what the shard keeps about it.
pub(super) struct LiveRoom {
    pub(super) id: RoomId,
    pub(super) room: Room,
    pub(super) publisher: Option<PeerKey>,
    /// Sessions in it, those included that are not connected yet.
    pub(super) members: usize,
    /// Since when nobody publishes.
    pub(super) vacant_since: Instant,
    pub(super) armed: Armed,
    /// When the oldest packet that waits for forwarding came in.
    pub(super) received: Option<SystemTime>,
    /// Packets of this batch wait for forwarding.
    pub(super) pending: bool,
    /// Packets of earlier batches wait for the rest of their frame.
    pub(super) held: bool,
    pub(super) hold: Hold,
    pub(super) traffic: RoomTraffic,
    pub(super) seat: Seat,
}

/// Where a room's packets come from, and where else they go.
pub(super) enum Seat {
    /// The publisher is on this shard, or was, or will be.
    Home {
        /// Shards that have viewers of the room.
        branches: Vec<Branch>,
    },
    /// It is on another one, which hands its packets over.
    Branch {
        /// Which.
        home: usize,
        /// Somebody publishes there.
        live: bool,
    },
}

/// A shard that has viewers of a room.
pub(super) struct Branch {
    pub(super) shard: usize,
    pub(super) viewers: usize,
    /// Tracks that its viewers watch, one bit each.
    pub(super) watched: u64,
}

impl LiveRoom {
    fn new(id: RoomId, config: RoomConfig, now: Instant) -> Self {
        Self {
            id,
            room: Room::new(config),
            publisher: None,
            members: 0,
            vacant_since: now,
            armed: Armed::default(),
            received: None,
            pending: false,
            held: false,
            hold: Hold::default(),
            traffic: RoomTraffic::default(),
            seat: Seat::Home { branches: Vec::new() },
        }
    }

    /// Shards that have viewers of this room besides this one.
    pub(super) fn branches(&self) -> &[Branch] {
        match &self.seat {
            Seat::Home { branches } => branches,
            Seat::Branch { .. } => &[],
        }
    }

    /// The shard of its publisher, when it is another one.
    pub(super) fn home(&self) -> Option<usize> {
        match self.seat {
            Seat::Home { .. } => None,
            Seat::Branch { home, .. } => Some(home),
        }
    }

    /// A branch says whether its viewers watch a track.
    pub(super) fn note_watched(&mut self, shard: usize, track: TrackId, watched: bool) {
        let Seat::Home { branches } = &mut self.seat else { return };
        let bit = 1u64.checked_shl(track.0.into()).unwrap_or(0);
        if let Some(branch) = branches.iter_mut().find(|branch| branch.shard == shard) {
            branch.watched = if watched { branch.watched | bit } else { branch.watched & !bit };
        }
        self.tell_watched();
    }

    /// Tells the room which tracks viewers on other shards watch.
    pub(super) fn tell_watched(&mut self) {
        let watched = self.branches().iter().fold(0, |all, branch| all | branch.watched);
        for track in self.room.tracks().collect::<Vec<_>>() {
            let bit = 1u64.checked_shl(track.0.into()).unwrap_or(0);
            self.room.set_watched_elsewhere(track, watched & bit != 0);
        }
    }

    /// Somebody publishes, here or elsewhere.
    pub(super) fn is_live(&self) -> bool {
        match self.seat {
            Seat::Home { .. } => self.publisher.is_some(),
            Seat::Branch { live, .. } => live,
        }
    }

    /// Nobody needs it any more.
    pub(super) fn is_deserted(&self) -> bool {
        self.members == 0 && self.branches().is_empty()
    }

    /// Viewers on the shard that has most of them: while they are served, one that waits gains nothing.
    pub(super) fn largest_fan_out(&self) -> usize {
        let elsewhere = self.branches().iter().map(|branch| branch.viewers).max();
        self.room.subscriber_count().max(elsewhere.unwrap_or(0))
    }

    /// What a branch has to know of the tracks.
    pub(super) fn outline(&self) -> Vec<(TrackId, TrackParams)> {
        self.room.tracks().filter_map(|track| Some((track, *self.room.track(track)?))).collect()
    }

    /// The track of a kind, with or without a publisher.
    pub(super) fn track_of(&self, kind: MediaKind) -> Option<(TrackId, &TrackParams)> {
        self.room.tracks().find_map(|track| {
            let params = self.room.track(track)?;
            (params.codec.kind() == kind && params.first.is_none()).then_some((track, params))
        })
    }

    /// The track of a codec.
    pub(super) fn track_with(&self, codec: Codec) -> Option<TrackId> {
        self.track_of(codec.kind()).filter(|(_, params)| params.codec == codec).map(|(track, _)| track)
    }

    /// What the publisher sends; `None` when nobody publishes.
    pub(super) fn published(&self) -> Option<Vec<PublishedTrack>> {
        self.publisher?;
        let tracks = self.room.tracks().filter_map(|track| self.room.track(track));
        let tracks = tracks.filter(|params| params.first.is_none());
        Some(tracks.map(|params| PublishedTrack { kind: params.codec.kind(), codec: params.codec }).collect())
    }

    /// When the room must be looked at next.
    pub(super) fn deadline(&self, grace: Duration) -> Option<Instant> {
        let vacant = self.publisher.is_none() && self.home().is_none();
        let gone = vacant.then_some(self.vacant_since + grace);
        let held = self.held.then(|| self.hold.until()).flatten();
        let round = self.room.next_round().map(|due| due + ROUND_WAITS);
        self.room.next_packets().into_iter().chain(round).chain(gone).chain(held).min()
    }
}

/// How long a round of reports waits for packets to be forwarded, so that it wakes no thread: a picture at 25 a second.
const ROUND_WAITS: Duration = Duration::from_millis(42);

/// All rooms of a shard.
#[derive(Default)]
pub(super) struct Rooms {
    places: Vec<Option<LiveRoom>>,
    by_id: HashMap<RoomId, u32>,
    free: Vec<u32>,
}

impl Rooms {
    pub(super) fn find(&self, id: &RoomId) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    pub(super) fn find_or_insert(&mut self, id: RoomId, config: &RoomConfig, now: Instant) -> u32 {
        if let Some(place) = self.find(&id) {
            return place;
        }
        let room = Some(LiveRoom::new(id, config.clone(), now));
        let place = match self.free.pop() {
            Some(place) => {
                self.places[place as usize] = room;
                place
            }
            None => {
                self.places.push(room);
                (self.places.len() - 1) as u32
            }
        };
        self.by_id.insert(id, place);
        place
    }

    pub(super) fn remove(&mut self, place: u32) {
        if let Some(room) = self.places.get_mut(place as usize).and_then(Option::take) {
            self.by_id.remove(&room.id);
            self.free.push(place);
        }
    }

    /// All rooms with what they have done so far.
    pub(super) fn figures(&self) -> Vec<RoomFigures> {
        let rooms = self.places.iter().flatten();
        let figures = rooms.map(|live| RoomFigures {
            room: live.id,
            live: live.publisher.is_some(),
            viewers: live.members - usize::from(live.publisher.is_some()),
            traffic: live.traffic.clone(),
            layers: live.room.layers(),
        });
        figures.collect()
    }

    /// Counts which layers viewers get, for the gauges.
    pub(super) fn count_layers(&self, tally: &mut Tally) {
        let mut legs = [0; 4];
        let (mut key_frames_only, mut paused) = (0, 0);
        for live in self.places.iter().flatten() {
            live.room.count_layers(|figures| {
                legs[figures.rung.min(3)] += figures.legs as usize;
                key_frames_only += figures.key_frames_only as usize;
                paused += usize::from(figures.paused);
            });
        }
        let gauges = [Gauge::Layer0, Gauge::Layer1, Gauge::Layer2, Gauge::LayersAbove];
        gauges.into_iter().zip(legs).for_each(|(gauge, legs)| tally.set(gauge, legs));
        tally.set(Gauge::KeyFramesOnly, key_frames_only);
        tally.set(Gauge::PausedLayers, paused);
    }

    #[inline]
    pub(super) fn at(&mut self, place: u32) -> Option<&mut LiveRoom> {
        self.places.get_mut(place as usize)?.as_mut()
    }
}
