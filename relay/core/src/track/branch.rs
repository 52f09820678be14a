//! A track that spans threads: what the home puts into parcels, and what a branch does with it.

use std::time::Instant;

use crate::config::RoomConfig;
use crate::event::MissingPackets;
use crate::history::{Facts, Found, Parts};
use crate::id::TrackId;
use crate::parcel::{Full, Head, Parcel};
use crate::track::{MOST_LATE, State, Track, TrackParams};

/// How far the home has handed its packets on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outflow {
    /// Everything before this position was handed on, or came before there were branches.
    next: u64,
    /// Late packets of this batch that were handed on.
    late: usize,
}

impl Outflow {
    /// The batch is over, and its late packets are forgotten.
    pub(super) fn end_batch(&mut self) {
        self.late = 0;
    }
}

/// The home.
impl Track {
    pub(crate) fn begin_handing_on(&mut self) {
        self.outflow = Outflow { next: self.end, late: self.batch.late.len() };
    }

    /// # Errors
    /// [`Full`]: there is more.
    pub(crate) fn hand_on(&mut self, parcel: &mut Parcel) -> Result<(), Full> {
        if self.state != State::Forwarding {
            return Ok(());
        }
        self.outflow.next = self.outflow.next.max(self.begin);
        while let Some(&position) = self.batch.late.get(self.outflow.late) {
            if position < self.outflow.next {
                self.put(position, parcel)?;
            }
            self.outflow.late += 1;
        }
        while self.outflow.next < self.end {
            self.put(self.outflow.next, parcel)?;
            self.outflow.next += 1;
        }
        Ok(())
    }

    /// Puts everything from the newest key frame up to what was handed on; `next` is where to go on, 0 at first.
    ///
    /// # Errors
    /// [`Full`]: there is more.
    pub(crate) fn seed(&self, next: &mut u64, parcel: &mut Parcel) -> Result<(), Full> {
        let Some(key_frame) = self.gop.position().filter(|_| self.state == State::Forwarding) else {
            return Ok(());
        };
        *next = (*next).max(key_frame).max(self.begin);
        while *next < self.outflow.next {
            self.put(*next, parcel)?;
            *next += 1;
        }
        Ok(())
    }

    pub(crate) fn hand_again(&self, missing: &MissingPackets, parcel: &mut Parcel) {
        let Some(newest) = self.end.checked_sub(1).filter(|_| self.state == State::Forwarding) else {
            return;
        };
        for &low_bits in missing.as_slice() {
            let behind = u64::from((newest as u16).wrapping_sub(low_bits));
            let Some(position) = newest.checked_sub(behind) else { continue };
            if self.put(position, parcel).is_err() {
                // It asks again.
                return;
            }
        }
    }

    /// Puts a packet, if it is there.
    fn put(&self, position: u64, parcel: &mut Parcel) -> Result<(), Full> {
        let Found::Packet(facts, parts) = self.history.find(position) else { return Ok(()) };
        parcel.head(self.id, || Head {
            track: self.id,
            begin: self.begin,
            from: position,
            gop: self.gop,
            clock: self.clock,
            rates: self.rates.clone(),
        });
        parcel.push(self.id, position, facts, &parts)
    }
}

/// A branch.
impl Track {
    /// Makes a track whose packets come from the room's home.
    pub(crate) fn following(id: TrackId, params: TrackParams, config: &RoomConfig) -> Self {
        // The home knows the publisher's SSRC; what is asked of the home needs none.
        Self { follows: true, ssrc: Some(0), ..Self::new(id, params, config) }
    }

    /// The publisher is another one, with the same codec.
    pub(crate) fn renew(&mut self, params: TrackParams) {
        self.params = params;
        // The home may have forgotten.
        self.watched = false;
    }

    pub(crate) fn take_head(&mut self, head: &Head, now: Instant) {
        if self.state != State::Forwarding || self.begin != head.begin {
            // Legs that were live go on from where the publisher begins; at the very first there are none.
            let from = if self.end == 0 { head.from } else { head.begin };
            (self.begin, self.end, self.end_at_chunk, self.batch.from) = (head.begin, from, from, from);
            self.state = State::Forwarding;
            self.batch.late.clear();
            self.missing.clear();
            self.gop.clear();
            self.key_frames.restart();
        }
        self.clock = head.clock;
        self.rates = head.rates.clone();
        if self.gop.position() < head.gop.position() {
            self.gop = head.gop;
            self.key_frames.arrived(now);
        }
    }

    /// The home says whether a pause holds the track back.
    pub(crate) fn set_paused_at_home(&mut self, paused: bool) {
        self.paused = paused;
    }

    pub(crate) fn take_packet(&mut self, position: u64, facts: Facts, parts: Parts<'_>, now: Instant) {
        if self.history.store(position, facts, parts).is_err() {
            // It was repaired, or seeded, and came all the same.
            return;
        }
        self.batch.widest.include(&parts);
        if position < self.end {
            self.missing.arrived(position);
            if position < self.batch.from && self.batch.late.len() < MOST_LATE {
                self.batch.late.push(position);
            }
            return;
        }
        if self.missing.passed_over(self.end, position, now).is_err() {
            self.key_frames.want();
        }
        self.end = position + 1;
    }
}
