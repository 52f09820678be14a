//! Rooms that span shards: the home hands its packets over once per batch, branches ask for what they miss.
//!
//! ```text
//! home     forward ─▶ hand_on ─shipment─▶ branch: take_shipment ─▶ forward to its own viewers
//!          Tracks, Paused, Vacated, Over ▶ follow, vacate, end its viewers
//!          hand again, ask the camera ◀── Viewers, Closed, Missing, KeyFrame, Watched
//! ```

use std::sync::Arc;
use std::time::Instant;

use latchkey_relay_core::{Parcel, Seeding, TrackId, TrackParams};
use latchkey_wire::id::RoomId;

use crate::shard::command::Home;
use crate::shard::counters::events::Event;
use crate::shard::counters::packets::DropReason;
use crate::shard::end::EndReason;
use crate::shard::neighbours::message::{Message, Shipment, Word};
use crate::shard::rooms::{Branch, LiveRoom, Seat};
use crate::shard::worker::Worker;

impl Worker {
    /// Takes what other shards gave. True when there may be more: the socket has its turn first.
    pub(super) fn take_over(&mut self, now: Instant) -> bool {
        self.neighbours.look();
        for taken in 0..AT_ONCE {
            let Some((shard, message)) = self.neighbours.receive() else {
                if taken > 0 {
                    self.forward_pending(now);
                }
                return false;
            };
            match message {
                Message::Datagrams(datagrams) => {
                    self.taking_over = true;
                    let mut bytes = std::mem::take(&mut self.handed);
                    for (datagram, route, received) in datagrams.iter() {
                        bytes.clear();
                        bytes.extend_from_slice(datagram);
                        self.datagram(&mut bytes, route, received, now);
                    }
                    self.handed = bytes;
                    self.taking_over = false;
                }
                Message::Shipment(shipment) => self.take_shipment(&shipment, now),
                Message::Word(room, word) => match self.rooms.find(&room) {
                    Some(place) => {
                        self.guarded(place, now, |worker| worker.hear(shard, (room, place), word, now));
                    }
                    None => self.hear_of_unknown(shard, room, &word),
                },
                // The neighbours kept them.
                Message::Learnt(_) | Message::Forgotten(_) => {}
            }
        }
        self.forward_pending(now);
        true
    }

    /// Its other side has not heard yet that the room is over here.
    fn hear_of_unknown(&mut self, shard: usize, room: RoomId, word: &Word) {
        if matches!(word, Word::Viewers(_)) {
            self.neighbours.say(shard, room, Word::Over(EndReason::PublisherGone));
        }
    }

    fn hear(&mut self, shard: usize, (room, place): (RoomId, u32), word: Word, now: Instant) {
        match word {
            Word::Viewers(viewers) => self.serve_branch(shard, room, viewers),
            Word::Closed => self.lose_branch(shard, room),
            Word::Missing(track, missing) => {
                self.ship_to(shard, room, |live, parcel| {
                    live.room.hand_again(track, &missing, parcel);
                    true
                });
            }
            Word::KeyFrame(track) => {
                if let Some((place, live)) = self.home_of(room) {
                    live.room.key_frame_wanted(track, now);
                    self.after_room(place, now);
                }
            }
            Word::Watched(track, watched) => {
                if let Some((_, live)) = self.home_of(room) {
                    live.note_watched(shard, track, watched);
                }
            }
            Word::Tracks(tracks) => {
                self.follow(place, shard, &tracks, now);
            }
            Word::Paused(track, paused) => {
                if let Some(live) = self.branch_of(room, shard) {
                    live.room.set_paused_at_home(track, paused);
                }
            }
            Word::Vacated => {
                if let Some(live) = self.branch_of(room, shard)
                    && let Seat::Branch { live: published, .. } = &mut live.seat
                {
                    *published = false;
                    live.room.tracks().collect::<Vec<_>>().into_iter().for_each(|id| live.room.vacate(id));
                }
            }
            Word::Over(reason) => {
                if self.branch_of(room, shard).is_some() {
                    self.end_all_of(place, reason, now);
                    self.close_room(place, reason);
                }
            }
        }
    }
}

/// The home's side.
impl Worker {
    /// Hands what came for a room over to the other shards that have viewers of it.
    pub(super) fn hand_on(&mut self, place: u32) {
        let Some(live) = self.rooms.at(place) else { return };
        if live.branches().is_empty() {
            return;
        }
        let (room, received) = (live.id, live.received);
        loop {
            let Some(mut shipment) = self.neighbours.empty_shipment() else {
                // It goes with the next batch: the history still has it.
                self.outbox.tally.add(Event::HandOnsPutOff, 1);
                break;
            };
            let Some(filling) = Arc::get_mut(&mut shipment) else { break };
            filling.begin(room, received);
            let done = live.room.hand_on(&mut filling.parcel);
            let packets = filling.parcel.len() as u64;
            for branch in live.branches().iter().filter(|_| packets > 0) {
                match self.neighbours.ship(branch.shard, &shipment) {
                    true => self.outbox.tally.add(Event::HandedOn, packets),
                    false => self.outbox.tally.drop_many(DropReason::QueueFull, packets),
                }
            }
            self.neighbours.shipped(shipment);
            if done {
                break;
            }
        }
        self.neighbours.wake();
    }

    /// Says something to all branches of a room.
    pub(super) fn tell_branches(&mut self, place: u32, word: &Word) {
        let Some(live) = self.rooms.at(place) else { return };
        for branch in live.branches() {
            self.neighbours.say(branch.shard, live.id, word.clone());
        }
    }

    /// Tells all branches what the room has now.
    pub(super) fn tell_branches_of_tracks(&mut self, place: u32) {
        let Some(live) = self.rooms.at(place).filter(|live| !live.branches().is_empty()) else { return };
        let tracks = Word::Tracks(live.outline());
        self.tell_branches(place, &tracks);
    }

    /// A shard has so many viewers of a room, and from now on gets its packets.
    fn serve_branch(&mut self, shard: usize, room: RoomId, viewers: usize) {
        let Some((_, live)) = self.home_of(room) else {
            return self.neighbours.say(shard, room, Word::Over(EndReason::PublisherGone));
        };
        let Seat::Home { branches } = &mut live.seat else { return };
        if let Some(branch) = branches.iter_mut().find(|branch| branch.shard == shard) {
            branch.viewers = viewers;
            return;
        }
        if branches.is_empty() {
            live.room.begin_handing_on();
        }
        branches.push(Branch { shard, viewers, watched: 0 });
        let (tracks, vacant) = (live.outline(), live.publisher.is_none());
        let held_back: Vec<TrackId> = live.room.held_back().collect();
        tracing::info!(?room, to = shard, "the room's packets go to another shard, too");
        self.neighbours.say(shard, room, Word::Tracks(tracks));
        for track in held_back {
            self.neighbours.say(shard, room, Word::Paused(track, true));
        }
        if vacant {
            self.neighbours.say(shard, room, Word::Vacated);
        }
        let mut seeding = Seeding::default();
        self.ship_to(shard, room, |live, parcel| live.room.seed(&mut seeding, parcel));
    }

    fn lose_branch(&mut self, shard: usize, room: RoomId) {
        let Some((place, live)) = self.home_of(room) else { return };
        if let Seat::Home { branches } = &mut live.seat {
            branches.retain(|branch| branch.shard != shard);
        }
        live.tell_watched();
        self.after_leaving(place);
    }

    /// Sends shipments to one shard until `fill` says that it is done.
    fn ship_to(
        &mut self,
        shard: usize,
        room: RoomId,
        mut fill: impl FnMut(&mut LiveRoom, &mut Parcel) -> bool,
    ) {
        let mut done = false;
        while !done {
            let Some(mut shipment) = self.neighbours.empty_shipment() else { break };
            let Some(filling) = Arc::get_mut(&mut shipment) else { break };
            filling.begin(room, None);
            let Some((_, live)) = self.home_of(room) else { break };
            done = fill(live, &mut filling.parcel);
            let packets = filling.parcel.len() as u64;
            if packets > 0 && !self.neighbours.ship(shard, &shipment) {
                self.outbox.tally.drop_many(DropReason::QueueFull, packets);
                done = true;
            }
            self.neighbours.shipped(shipment);
        }
    }

    fn home_of(&mut self, room: RoomId) -> Option<(u32, &mut LiveRoom)> {
        let place = self.rooms.find(&room)?;
        let live = self.rooms.at(place).filter(|live| live.home().is_none())?;
        Some((place, live))
    }
}

/// A branch's side.
impl Worker {
    /// The place of a room whose publisher is on another shard; opened when it is not there yet.
    pub(super) fn find_or_open_branch(&mut self, id: RoomId, home: &Home, now: Instant) -> u32 {
        let place = self.rooms.find_or_insert(id, &self.setup.room_config, now);
        if let Some(live) = self.rooms.at(place)
            && live.members == 0
            && live.branches().is_empty()
        {
            live.seat = Seat::Branch { home: home.shard, live: true };
            self.follow(place, home.shard, &home.tracks, now);
        }
        place
    }

    /// Tells the home how many viewers there are, if this is a branch.
    pub(super) fn tell_home(&mut self, place: u32) {
        let Some(live) = self.rooms.at(place) else { return };
        if let Some(home) = live.home() {
            self.neighbours.say(home, live.id, Word::Viewers(live.members));
        }
    }

    fn take_shipment(&mut self, shipment: &Shipment, now: Instant) {
        let Some(place) = self.rooms.find(&shipment.room) else { return };
        self.guarded(place, now, |worker| {
            let Some(live) = worker.rooms.at(place).filter(|live| live.home().is_some()) else { return };
            live.room.take_in(&shipment.parcel, now);
            if !live.pending {
                live.pending = true;
                worker.pending.push(place);
            }
            live.received = live.received.or(shipment.received);
        });
    }

    /// Has the tracks that the home has; who viewed another one is shown out.
    fn follow(&mut self, place: u32, home: usize, tracks: &[(TrackId, TrackParams)], now: Instant) {
        let Some(live) = self.rooms.at(place).filter(|live| live.home() == Some(home)) else { return };
        let goes_on = |id: TrackId, old: &TrackParams| {
            let same = |new: &TrackParams| new.codec == old.codec && new.first == old.first;
            tracks.iter().any(|(other, new)| *other == id && same(new))
        };
        let changed: Vec<_> = live.outline().into_iter().filter(|(id, old)| !goes_on(*id, old)).collect();
        let changed: Vec<_> = changed.into_iter().map(|(id, _)| id).collect();
        changed.iter().for_each(|id| live.room.unpublish(*id));
        for (id, params) in tracks {
            live.room.follow(*id, *params, now);
        }
        if let Seat::Branch { live, .. } = &mut live.seat {
            *live = true;
        }
        if !changed.is_empty() {
            self.end_viewers_of(place, &changed, now);
        }
        self.arm_room(place);
    }

    /// The publisher comes to this shard: what is left of a branch goes.
    pub(super) fn give_up_branch(&mut self, room: RoomId, now: Instant) {
        let Some(place) = self.rooms.find(&room) else { return };
        if self.rooms.at(place).is_some_and(|live| live.home().is_some()) {
            self.end_all_of(place, EndReason::PublisherGone, now);
            self.close_room(place, EndReason::PublisherGone);
        }
    }

    fn branch_of(&mut self, room: RoomId, home: usize) -> Option<&mut LiveRoom> {
        let place = self.rooms.find(&room)?;
        self.rooms.at(place).filter(|live| live.home() == Some(home))
    }
}

/// Both sides.
impl Worker {
    /// Somebody left a room.
    pub(super) fn after_leaving(&mut self, place: u32) {
        match self.rooms.at(place) {
            Some(live) if live.is_deserted() => self.close_room(place, EndReason::PublisherGone),
            Some(_) => {
                self.tell_home(place);
                self.arm_room(place);
            }
            None => {}
        }
    }

    /// Removes a room, and says so to the shards that it spans.
    pub(super) fn close_room(&mut self, place: u32, reason: EndReason) {
        self.tell_branches(place, &Word::Over(reason));
        if let Some(live) = self.rooms.at(place)
            && let Some(home) = live.home()
        {
            self.neighbours.say(home, live.id, Word::Closed);
        }
        self.rooms.remove(place);
    }

    /// Ends every session of a room on this shard.
    pub(super) fn end_all_of(&mut self, place: u32, reason: EndReason, now: Instant) {
        let members: Vec<_> =
            self.peers.iter().filter(|(_, peer)| peer.room == place).map(|(key, _)| key).collect();
        for key in members {
            self.end(key, reason, now);
        }
    }
}

/// Messages taken before the socket has its turn.
const AT_ONCE: usize = 512;
