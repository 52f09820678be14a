//! What comes to a viewer: each datagram through its network to the client, into the ledger, and its packet to the assembly.

use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

use latchkey_wire::rtp::{RtpHeader, RtpView, is_rtcp};
use str0m::rtp::RtpPacket;

use crate::fleet::content::Stamp;
use crate::fleet::peer::{Outlet as _, PeerError, PeerEvent};
use crate::fleet::viewer::Viewer;
use crate::fleet::viewer::assembly::Piece;
use crate::fleet::viewer::desk::Desk;

/// A datagram that has come to the client.
#[derive(Clone, Copy)]
pub(super) struct Arrived<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) remote: SocketAddr,
    pub(super) arrival: SystemTime,
}

impl Viewer {
    /// Lets through what its network has held up long enough, both ways.
    pub(super) fn go_through_path(&mut self, now: Instant, desk: &mut Desk) -> Result<(), PeerError> {
        while let Some(parcel) = self.path.as_mut().and_then(|path| path.out_to_client(now)) {
            let arrived = Arrived { bytes: &parcel.bytes, remote: parcel.remote, arrival: parcel.arrival };
            self.take_in(arrived, now, desk)?;
        }
        while let Some(parcel) = self.path.as_mut().and_then(|path| path.out_to_server(now)) {
            desk.arena.send(self.peer.socket(), parcel.remote, &parcel.bytes);
        }
        Ok(())
    }

    /// Hands a datagram to the client, and looks at what that makes of it.
    pub(super) fn take_in(
        &mut self,
        arrived: Arrived<'_>,
        now: Instant,
        desk: &mut Desk,
    ) -> Result<(), PeerError> {
        let Arrived { bytes, remote, arrival } = arrived;
        self.heard_at = now;
        let header = RtpView::parse_sealed(bytes).ok().filter(|_| !is_rtcp(bytes)).map(|view| view.header());
        self.weigh(header, bytes.len());
        let events = &mut desk.events;
        let on = &mut |event| events.push(event);
        match &mut self.path {
            None => self.peer.take_in(bytes, remote, arrival, &mut desk.arena, on)?,
            Some(path) => {
                let mut out = path.outlet(now, &mut desk.arena);
                self.peer.take_in(bytes, remote, arrival, &mut out, on)?;
            }
        }
        self.digest(header, now, desk)
    }

    /// Counts what a media datagram weighs: as a first transmission, or as the repair that any other payload type is.
    fn weigh(&mut self, header: Option<RtpHeader>, bytes: usize) {
        let Some(header) = header else { return };
        if Some(header.payload_type) == self.peer.payload_type() {
            self.tally.media_bytes += bytes as u64;
        } else {
            self.tally.repairs += 1;
            self.tally.repair_bytes += bytes as u64;
        }
    }

    /// Looks at what the client made of a datagram with this header, or of time that passed.
    pub(super) fn digest(
        &mut self,
        header: Option<RtpHeader>,
        now: Instant,
        desk: &mut Desk,
    ) -> Result<(), PeerError> {
        let mut authentic = None;
        let mut events = std::mem::take(&mut desk.events);
        for event in events.drain(..) {
            match event {
                PeerEvent::Packet(packet, arrival) => {
                    authentic = Some(packet.header.sequence_number);
                    self.note(header, authentic, now);
                    self.piece(packet, arrival, now, desk);
                }
                PeerEvent::Disconnected => self.lost_since = self.lost_since.or(Some(now)),
                PeerEvent::Reconnected => self.lost_since = None,
                PeerEvent::Nacks(more) => self.tally.nacks += more,
                PeerEvent::Connected | PeerEvent::Closed | PeerEvent::KeyFrameWanted => {}
            }
        }
        desk.events = events;
        if authentic.is_none() {
            self.note(header, None, now);
        }
        if self.peer.is_alive() { Ok(()) } else { Err(PeerError::Closed) }
    }

    /// Notes a datagram in the ledger; `authentic` is the number that the client found in it.
    fn note(&mut self, header: Option<RtpHeader>, authentic: Option<u16>, now: Instant) {
        let Some(header) = header else { return };
        let is_first = Some(header.payload_type) == self.peer.payload_type();
        match authentic {
            Some(_) if is_first && self.ssrc != Some(header.ssrc) => {
                self.ledger.close(&mut self.tally);
                self.assembly.restart();
                self.ssrc = Some(header.ssrc);
                self.ledger.first(header.sequence_number, true, now, &mut self.tally);
            }
            Some(number) if !is_first => self.ledger.again(number, now, &mut self.tally),
            _ if is_first && self.ssrc == Some(header.ssrc) => {
                self.ledger.first(header.sequence_number, authentic.is_some(), now, &mut self.tally);
            }
            _ => {}
        }
    }

    fn piece(&mut self, packet: RtpPacket, arrival: SystemTime, now: Instant, desk: &mut Desk) {
        let piece = Piece {
            sequence: *packet.seq_no,
            timestamp: packet.header.timestamp,
            marker: packet.header.marker,
            payload: packet.payload,
            arrival_ns: Stamp::nanoseconds(arrival),
        };
        self.opening.note_arrival(piece.arrival_ns);
        if let Some(whole) = self.assembly.take(piece) {
            self.open(whole, now, desk);
        }
    }
}
