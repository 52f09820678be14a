//! The way out: what a room sends, sealed for its viewer straight into the send arena.

use std::time::{Duration, SystemTime};

use latchkey_relay_core::{Outgoing, OutgoingKind, SenderReport, Sink, SubscriberId};
use latchkey_wire::rtcp;

use crate::batch::{Route, SendArena, Socket};
use crate::shard::counters::Tally;
use crate::shard::counters::events::Event;
use crate::shard::counters::packets::{Direction, DropReason, PacketKind};
use crate::shard::peer::{Peer, PeerKey, Peers, Srtp};
use crate::shard::traffic::RoomTraffic;
use crate::srtp::Plain;

/// Socket, arena and counters of a shard: what everything that sends needs.
pub(super) struct Outbox {
    pub(super) socket: Socket,
    pub(super) arena: SendArena,
    pub(super) tally: Tally,
    /// RTCP before it is sealed.
    pub(super) control: Vec<u8>,
    #[cfg(feature = "test-tap")]
    pub(super) meddler: Option<crate::shard::tap::Meddler>,
}

impl Outbox {
    pub(super) fn new(socket: Socket) -> Self {
        Self {
            socket,
            arena: SendArena::new(),
            tally: Tally::default(),
            control: Vec::with_capacity(SendArena::MAX_DATAGRAM),
            #[cfg(feature = "test-tap")]
            meddler: None,
        }
    }

    /// Sends everything that waits.
    pub(super) fn flush(&mut self) {
        if self.arena.is_empty() {
            return;
        }
        let done = self.arena.flush(&self.socket, PATIENCE);
        self.tally.add(Event::SendCalls, done.calls as u64);
        self.tally.add(Event::Trains, done.trains as u64);
        self.tally.drop_many(DropReason::QueueFull, done.dropped as u64);
    }

    /// Queues one datagram of STUN or DTLS.
    pub(super) fn transport(&mut self, route: &Route, bytes: &[u8]) {
        if let Some(out) = self.room_for(route, bytes.len()) {
            out.copy_from_slice(bytes);
            self.tally.add_packets(Direction::Out, PacketKind::Transport, 1, bytes.len() as u64);
        }
    }

    /// Seals and queues the compound RTCP packet that `write` writes.
    pub(super) fn report(&mut self, route: &Route, srtp: &mut Srtp, write: impl FnOnce(&mut Vec<u8>)) {
        self.control.clear();
        write(&mut self.control);
        let len = self.control.len() + srtp.control_sealer.overhead();
        if self.control.is_empty() || len > SendArena::MAX_DATAGRAM {
            return;
        }
        if self.arena.is_full() {
            self.flush();
        }
        let Some(out) = self.arena.reserve(route, len) else { return };
        out[..self.control.len()].copy_from_slice(&self.control);
        match srtp.control_sealer.seal(out) {
            Ok(()) => self.tally.add_packets(Direction::Out, PacketKind::Rtcp, 1, len as u64),
            Err(_) => self.arena.undo_last(),
        }
    }

    fn room_for(&mut self, route: &Route, len: usize) -> Option<&mut [u8]> {
        if self.arena.is_full() {
            self.flush();
        }
        self.arena.reserve(route, len)
    }
}

/// Takes what one room sends in one go.
pub(super) struct Forwarding<'a> {
    outbox: &'a mut Outbox,
    peers: &'a mut Peers,
    cname: &'a str,
    /// When the batch that caused this came in; `None` for what was not caused by one.
    received: Option<SystemTime>,
    viewer: Option<PeerKey>,
    /// Packets for the viewer at hand, and for the one before.
    train: usize,
    last_train: usize,
    waiting: u64,
    sent: [u64; 2],
    bytes: [u64; 2],
    repaired: (u64, u64),
    traffic: Option<&'a mut RoomTraffic>,
}

impl<'a> Forwarding<'a> {
    pub(super) fn new(
        outbox: &'a mut Outbox,
        peers: &'a mut Peers,
        cname: &'a str,
        received: Option<SystemTime>,
    ) -> Self {
        Self {
            outbox,
            peers,
            cname,
            received,
            viewer: None,
            train: 0,
            last_train: 0,
            waiting: 0,
            sent: [0; 2],
            bytes: [0; 2],
            repaired: (0, 0),
            traffic: None,
        }
    }

    /// Has the room's own figures kept, too.
    pub(super) fn noting(mut self, traffic: &'a mut RoomTraffic) -> Self {
        self.traffic = Some(traffic);
        self
    }

    /// Sends the rest and counts.
    pub(super) fn finish(mut self) {
        self.flush();
        let tally = &mut self.outbox.tally;
        tally.add_packets(Direction::Out, PacketKind::Video, self.sent[0], self.bytes[0]);
        tally.add_packets(Direction::Out, PacketKind::Audio, self.sent[1], self.bytes[1]);
        tally.add(Event::RtxPackets, self.repaired.0);
        tally.add(Event::RtxBytes, self.repaired.1);
        if let Some(traffic) = self.traffic {
            traffic.packets_out += self.sent[0] + self.sent[1];
            traffic.bytes_out += self.bytes[0] + self.bytes[1];
            traffic.repaired += self.repaired.0;
        }
    }

    fn flush(&mut self) {
        self.outbox.flush();
        if let Some(latency) =
            self.received.and_then(|received| received.elapsed().ok()).filter(|_| self.waiting > 0)
        {
            self.outbox.tally.forwarded(latency, self.waiting);
            if let Some(traffic) = &mut self.traffic {
                traffic.forwarded(latency, self.waiting);
            }
        }
        self.waiting = 0;
    }

    fn ready(&mut self) -> Option<(&Route, &mut Srtp, &mut Outbox)> {
        let Peer { route, srtp, .. } = self.peers.get_mut(self.viewer?)?;
        Some((route.as_ref()?, srtp.as_mut()?, self.outbox))
    }
}

impl Sink for Forwarding<'_> {
    #[inline]
    fn begin(&mut self, subscriber: SubscriberId) {
        self.viewer = Some(PeerKey::of(subscriber));
        self.last_train = self.train;
        self.train = 0;
        // Rather a short flush than a train cut in two.
        if self.outbox.arena.free() < self.last_train {
            self.flush();
        }
    }

    #[inline]
    fn packet(&mut self, packet: &Outgoing<'_>) {
        if self.outbox.arena.is_full() {
            self.flush();
        }
        #[cfg(feature = "test-tap")]
        let meddled = self.outbox.meddler.as_ref().and_then(|meddler| (meddler.outbound)(packet.payload));
        #[cfg(feature = "test-tap")]
        let packet = &Outgoing { payload: meddled.as_deref().unwrap_or(packet.payload), ..*packet };
        let Some((route, srtp, outbox)) = self.ready() else { return };
        let len = packet.len() + srtp.sealer.overhead();
        let Some(out) = outbox.arena.reserve(route, len) else { return };
        let plain = Plain {
            header: packet.header,
            prefix: packet.prefix,
            payload: packet.payload,
            ssrc: packet.ssrc,
            index: packet.index,
        };
        if srtp.sealer.seal(&plain, out).is_err() {
            outbox.arena.undo_last();
            return;
        }
        self.train += 1;
        self.waiting += 1;
        let kind = usize::from(packet.kind == OutgoingKind::Audio);
        self.sent[kind] += 1;
        self.bytes[kind] += len as u64;
        if packet.kind == OutgoingKind::Repair {
            self.repaired.0 += 1;
            self.repaired.1 += packet.payload.len() as u64;
        }
    }

    fn report(&mut self, report: &SenderReport) {
        let cname = self.cname;
        let Some((route, srtp, outbox)) = self.ready() else { return };
        let written = rtcp::SenderReport {
            ssrc: report.ssrc,
            ntp_time: report.ntp,
            rtp_time: report.rtp_timestamp,
            packet_count: report.packets,
            octet_count: report.octets,
            reports: Vec::new(),
        };
        outbox.report(route, srtp, |out| rtcp::write_sender_report(&written, cname, out));
    }

    fn end(&mut self, _: SubscriberId) {
        self.viewer = None;
    }
}

/// How long a flush may wait for room in the send buffer.
const PATIENCE: Duration = Duration::from_millis(2);
