//! One viewer of the fleet: a client behind its network, the ledger of its packets, and what becomes of its frames.
//!
//! ```text
//!   socket ─▶ Path ─▶ Peer ─▶ authentic packets ─▶ Assembly ─▶ whole frames ─▶ Opening ─▶ Numbers, latencies
//!                │                                                       └────▶ Playout ─▶ frozen time, key frames wanted
//!                └──▶ clear headers ─▶ Ledger
//! ```
//! What it asks for again is the client's to decide: str0m asks for the last 100 packets, five times at the most, at once
//! and then some 105 to 138 ms apart. A browser that does not know its round trip asks at the same pace, ten times.

mod assembly;
mod desk;
mod intake;
mod ledger;
mod numbers;
mod opening;
mod picture;
mod playout;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant, SystemTime};

use latchkey_e2ee::key_schedule::EpochKeys;
use latchkey_relay::batch::Receiver;

use crate::fleet::content::Stamp;
use crate::fleet::network::{Conditions, Path};
use crate::fleet::peer::{Peer, PeerError};
use crate::fleet::viewer::assembly::{Assembly, Whole};
pub(crate) use crate::fleet::viewer::desk::{Bench, Desk};
use crate::fleet::viewer::intake::Arrived;
use crate::fleet::viewer::ledger::Ledger;
pub use crate::fleet::viewer::opening::Frames;
use crate::fleet::viewer::opening::{Opening, Outcome};
use crate::fleet::viewer::playout::Playout;
use crate::fleet::{CameraId, ViewerId};
use crate::measure::line::Party;
use crate::measure::tally::ViewerTally;

/// A viewer that is about to watch.
#[derive(Debug)]
pub struct NewViewer {
    /// Its client, which has taken the door's answer.
    pub peer: Peer,
    /// What it watches.
    pub camera: CameraId,
    /// What lies between it and the server.
    pub network: Conditions,
    /// One frame in so many is opened, the others only put together; 1 opens all.
    pub opens_one_in: u32,
    /// How far its player stays behind the fastest frame.
    pub player_delay: Duration,
    /// How frames come.
    pub frames: Frames,
    /// When its join began.
    pub asked: Instant,
}

/// One viewer.
pub(crate) struct Viewer {
    pub(crate) id: ViewerId,
    pub(crate) camera: CameraId,
    peer: Peer,
    path: Option<Box<Path>>,
    ssrc: Option<u32>,
    ledger: Ledger,
    assembly: Assembly,
    opening: Opening,
    /// None once its device was removed: nobody watches any more.
    playout: Option<Playout>,
    /// What it counted since it was told last.
    tally: ViewerTally,
    asked: Instant,
    first_frame: Option<Instant>,
    last_frame: Option<Instant>,
    joined: Instant,
    heard_at: Instant,
    lost_since: Option<Instant>,
    checks_at: Instant,
    /// No key frame is asked for before.
    may_ask_at: Instant,
    moves: Option<(Duration, Instant)>,
}

impl Viewer {
    pub(crate) fn new(id: ViewerId, new: NewViewer, now: Instant) -> Self {
        let codec = new.peer.codec();
        let sealed = matches!(new.frames, Frames::Sealed(_));
        Self {
            id,
            camera: new.camera,
            path: Path::new(&new.network),
            ssrc: None,
            ledger: Ledger::new(now),
            assembly: Assembly::new(codec, sealed),
            opening: Opening::new(codec, new.frames, new.opens_one_in, id.0, now),
            playout: Some(Playout::behind(new.player_delay.as_micros() as u64)),
            tally: ViewerTally::default(),
            asked: new.asked,
            first_frame: None,
            last_frame: None,
            joined: now,
            heard_at: now,
            lost_since: None,
            checks_at: now + CHECKS_EVERY,
            may_ask_at: now + PATIENCE,
            moves: new.network.address_change_every.map(|every| (every, now + every)),
            peer: new.peer,
        }
    }

    /// Returns its client.
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Returns whether it is connected and has not lost the server.
    pub(crate) fn is_connected(&self) -> bool {
        self.peer.is_connected() && self.lost_since.is_none()
    }

    /// Returns when it saw its newest frame.
    pub(crate) fn last_frame(&self) -> Option<Instant> {
        self.last_frame
    }

    /// Its camera has sent all frames before number `next`.
    pub(crate) fn sent(&mut self, next: u64, now: Instant) {
        if self.watches() {
            self.opening.numbers.sent(next, now);
        }
    }

    /// Returns when it saw its first frame.
    pub(crate) fn first_frame(&self) -> Option<Instant> {
        self.first_frame
    }

    /// Returns whether somebody watches: a frame was seen and its device is no removed one.
    pub(crate) fn watches(&self) -> bool {
        self.first_frame.is_some() && self.playout.is_some()
    }

    /// Returns whose fault it is that it cannot go on: behind a network with faults of its own nobody blames the server.
    pub(crate) fn blames(&self, error: &PeerError) -> Party {
        match error {
            PeerError::Lost | PeerError::NotConnected(_) if self.path.is_some() => Party::Network,
            other => other.party(),
        }
    }

    /// Returns when its time wants to pass, see [`Viewer::pass_time`].
    pub(crate) fn due(&self) -> Instant {
        let mut due = self.peer.due().min(self.checks_at);
        if let Some((_, at)) = self.moves {
            due = due.min(at);
        }
        match self.path.as_ref().and_then(|path| path.due()) {
            Some(path) => due.min(path),
            None => due,
        }
    }

    /// Takes what its socket holds.
    ///
    /// # Errors
    /// [`PeerError`]: it cannot go on.
    pub(crate) fn receive(&mut self, receiver: &mut Receiver, desk: &mut Desk) -> Result<(), PeerError> {
        loop {
            let messages = receiver.receive(self.peer.socket())?;
            let now = Instant::now();
            let read_at = SystemTime::now();
            for datagram in receiver.datagrams() {
                let arrival = datagram.received.unwrap_or(read_at);
                desk.lag = desk.lag.max(read_at.duration_since(arrival).unwrap_or_default());
                self.tally.datagrams += 1;
                self.tally.bytes += datagram.bytes.len() as u64;
                let parcel = Arrived { bytes: datagram.bytes, remote: datagram.route.remote, arrival };
                match &mut self.path {
                    None => self.take_in(parcel, now, desk)?,
                    Some(path) => path.received(now, parcel.bytes, parcel.remote, arrival),
                }
            }
            if messages < Receiver::SLOTS {
                self.go_through_path(now, desk)?;
                self.peer.send(&mut desk.arena);
                return Ok(());
            }
        }
    }

    /// Lets its time pass. Returns whether it has another socket now.
    ///
    /// # Errors
    /// [`PeerError`]: it cannot go on.
    pub(crate) fn pass_time(&mut self, now: Instant, desk: &mut Desk) -> Result<bool, PeerError> {
        self.go_through_path(now, desk)?;
        if now >= self.checks_at {
            self.checks_at = now + CHECKS_EVERY;
            self.check(now)?;
        }
        let events = &mut desk.events;
        let on = &mut |event| events.push(event);
        match &mut self.path {
            None => self.peer.pass_time(now, &mut desk.arena, on)?,
            Some(path) => self.peer.pass_time(now, &mut path.outlet(now, &mut desk.arena), on)?,
        }
        self.digest(None, now, desk)?;
        self.peer.send(&mut desk.arena);
        match &mut self.moves {
            Some((every, at)) if now >= *at => {
                *at = now + *every;
                self.move_address(desk)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Goes on from another address.
    ///
    /// # Errors
    /// [`PeerError::Socket`].
    pub(crate) fn move_address(&mut self, desk: &mut Desk) -> Result<(), PeerError> {
        self.peer.move_address(&mut desk.arena)
    }

    /// Takes the keys of another epoch, and opens what has waited for them.
    pub(crate) fn add_keys(&mut self, keys: EpochKeys, now: Instant, desk: &mut Desk) {
        for whole in self.opening.add_keys(keys, now) {
            self.open(whole, now, desk);
        }
    }

    /// Its device was taken out of the group: what opens from now on is a fault.
    pub(crate) fn remove(&mut self, now: Instant, desk: &mut Desk) {
        self.settle(now, &mut desk.bench);
        self.opening.remove(SystemTime::now());
        self.playout = None;
    }

    /// Counts up to `now`, adds what was counted to the thread's window, and returns it.
    pub(crate) fn settle(&mut self, now: Instant, bench: &mut Bench) -> ViewerTally {
        self.ledger.settle(now, &mut self.tally);
        self.opening.numbers.settle(now, &mut self.tally);
        self.opening.forget_old(now, &mut self.tally);
        if let Some(playout) = &mut self.playout {
            playout.settle(Stamp::nanoseconds(SystemTime::now()) / 1000, &mut self.tally);
        }
        bench.window.viewer.add(&self.tally);
        std::mem::take(&mut self.tally)
    }

    /// Counts everything that stands open, because nothing more comes: what is missing now is lost.
    pub(crate) fn close(&mut self, now: Instant, desk: &mut Desk) -> ViewerTally {
        if self.peer.is_alive() {
            self.peer.close(&mut desk.arena);
            self.peer.send(&mut desk.arena);
        }
        self.ledger.close(&mut self.tally);
        self.opening.numbers.close(&mut self.tally);
        self.settle(now, &mut desk.bench)
    }

    fn open(&mut self, whole: Whole, now: Instant, desk: &mut Desk) {
        match self.opening.whole(&whole, now, &mut desk.bench, &mut self.tally) {
            Outcome::NoKeys => return self.opening.keep(whole, now, &mut self.tally),
            Outcome::Refused => {}
            Outcome::Opened | Outcome::NotOfTheSample => {
                let complete_ns = whole.pieces.iter().map(|piece| piece.arrival_ns).max().unwrap_or(0);
                self.last_frame = Some(now);
                if self.first_frame.is_none() {
                    self.first_frame = Some(now);
                    desk.bench.window.joins.seen += 1;
                    let waited = now.saturating_duration_since(self.asked);
                    desk.bench.window.first_frame.record(waited.as_micros() as u64);
                }
                if let Some(playout) = &mut self.playout {
                    playout.complete(whole.place, complete_ns / 1000, &mut self.tally);
                }
            }
        }
        self.assembly.recycle(whole.pieces);
    }

    /// What is looked at now and then: whether the server is lost for good, and whether nothing but a key frame helps.
    fn check(&mut self, now: Instant) -> Result<(), PeerError> {
        let passed = |since: Instant, limit: Duration| now.saturating_duration_since(since) > limit;
        if !self.peer.is_connected() {
            let late = passed(self.joined, CONNECTS_WITHIN);
            return if late { Err(PeerError::NotConnected(CONNECTS_WITHIN)) } else { Ok(()) };
        }
        // A server without media still answers connectivity checks, one every 3 s.
        if passed(self.heard_at, LOST_FOR_GOOD)
            || self.lost_since.is_some_and(|since| passed(since, LOST_FOR_GOOD))
        {
            return Err(PeerError::Lost);
        }
        let now_us = Stamp::nanoseconds(SystemTime::now()) / 1000;
        let wants = self.playout.as_ref().is_some_and(|playout| playout.wants_key_frame(now_us));
        // The first packet tells whom to ask.
        if wants && now >= self.may_ask_at && self.peer.ask_for_key_frame() {
            self.may_ask_at = now + PATIENCE;
            self.tally.plis += 1;
        }
        Ok(())
    }
}

/// How often a viewer is looked at, whatever else happens.
const CHECKS_EVERY: Duration = Duration::from_millis(250);
/// How long a viewer waits for something that can be decoded before it asks for a key frame, and between two such wishes.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long ICE and DTLS may take.
const CONNECTS_WITHIN: Duration = Duration::from_secs(10);
/// How long a server may be silent until the viewer gives up.
const LOST_FOR_GOOD: Duration = Duration::from_secs(8);
