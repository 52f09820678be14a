//! What comes in: each datagram to its peer, and nothing changed by one that is not proven to be the peer's.

mod addresses;
mod connectivity;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Instant, SystemTime};

use latchkey_relay_core::{DropReason as Refused, Exceeded};
use latchkey_wire::codec::MediaKind;
use latchkey_wire::rtcp::{self, Request, RtcpMessage};

use crate::batch::Route;
use crate::demux::{Protocol, classify};
use crate::shard::command::join::Role;
use crate::shard::counters::events::Event;
use crate::shard::counters::packets::{Direction, DropReason, Limited, PacketKind};
use crate::shard::peer::PeerKey;
use crate::shard::sink::Forwarding;
use crate::shard::timers::{Armed, Timer};
use crate::shard::worker::Worker;
use crate::srtp::OpenError;

impl Worker {
    /// Handles one datagram; counts it by what it was, or by why it was dropped.
    pub(in crate::shard) fn datagram(
        &mut self,
        bytes: &mut [u8],
        route: Route,
        received: Option<SystemTime>,
        now: Instant,
    ) {
        let len = bytes.len() as u64;
        // What parses here is partly other people's. A panic is a bug that must not take the shard down.
        let handled = catch_unwind(AssertUnwindSafe(|| self.dispatch(bytes, &route, received, now)));
        let outcome = handled.unwrap_or_else(|_| {
            let room = self.owner(&route.remote).and_then(|key| self.peers.get(key)).map(|peer| peer.room);
            if let Some(room) = room {
                self.give_up(room, now);
            }
            Err(DropReason::Malformed)
        });
        match outcome {
            Ok(Some(kind)) => self.outbox.tally.add_packets(Direction::In, kind, 1, len),
            Ok(None) => self.outbox.tally.add(Event::HandedOver, 1),
            Err(reason) => self.outbox.tally.drop_one(reason),
        }
    }

    fn dispatch(
        &mut self,
        bytes: &mut [u8],
        route: &Route,
        received: Option<SystemTime>,
        now: Instant,
    ) -> Result<Option<PacketKind>, DropReason> {
        match classify(bytes) {
            Some(Protocol::Rtp) => self.rtp(bytes, route, received, now),
            Some(Protocol::Rtcp) => self.rtcp(bytes, route, received, now),
            Some(Protocol::Stun) => self.stun(bytes, route, received, now),
            Some(Protocol::Dtls) => self.dtls(bytes, route, received, now),
            None => Err(DropReason::Malformed),
        }
    }

    fn rtp(
        &mut self,
        bytes: &mut [u8],
        route: &Route,
        received: Option<SystemTime>,
        now: Instant,
    ) -> Result<Option<PacketKind>, DropReason> {
        let Some(key) = self.owner(&route.remote) else { return self.hand_over(bytes, route, received) };
        let peer = self.peers.get_mut(key).ok_or(DropReason::UnknownPeer)?;
        // A flood ends here, before it costs a decryption.
        let spent = peer.media().allows(bytes.len(), now).err();
        let opener = peer.srtp.as_mut().and_then(|srtp| srtp.opener.as_mut()).ok_or(DropReason::Policy)?;
        if let Some(exceeded) = spent {
            return Err(self.limited(key, media(exceeded)));
        }
        let len = opener.open(bytes).map_err(reason_of)?;
        // Only an authentic packet takes from what its sender may send; the look above said that this one may.
        let taken = peer.media().take(bytes.len(), now);
        debug_assert!(taken.is_ok());
        let packet = &bytes[..len];
        if let Some(due) = peer.transport_wide.as_mut().and_then(|wide| wide.note(packet, received, now)) {
            self.timers.arm(Timer::Arrivals(key.index()), due, &mut Armed::default());
        }
        #[cfg(feature = "test-tap")]
        if let Some(tap) = &self.setup.tap {
            tap(packet);
        }
        #[cfg(feature = "test-tap")]
        if let Some(meddler) = self.setup.meddler.clone() {
            return self.meddle(&meddler, key, packet, received, now);
        }
        let Some(kind) = peer.kind_of(packet[1] & 0x7F) else { return Err(DropReason::Policy) };
        let place = peer.room;
        self.take(place, kind, packet, received, now)
    }

    /// Gives an opened packet to its room.
    #[inline]
    fn take(
        &mut self,
        place: u32,
        kind: MediaKind,
        packet: &[u8],
        received: Option<SystemTime>,
        now: Instant,
    ) -> Result<Option<PacketKind>, DropReason> {
        let marker = packet[1] & 0x80 != 0;
        let room = self.rooms.at(place).ok_or(DropReason::UnknownPeer)?;
        let ingested = room.room.ingest(packet, now);
        if kind == MediaKind::Video {
            room.hold.note(received, marker);
        }
        if !room.pending {
            room.pending = true;
            self.pending.push(place);
        }
        if room.received.is_none() {
            room.received = received;
        }
        match ingested {
            Ok(_) | Err(Refused::PaddingOnly) => Ok(Some(match kind {
                MediaKind::Video => PacketKind::Video,
                MediaKind::Audio => PacketKind::Audio,
            })),
            Err(Refused::Malformed) => Err(DropReason::Malformed),
            Err(Refused::Duplicate | Refused::Stale) => Err(DropReason::Replay),
            Err(_) => Err(DropReason::Policy),
        }
    }

    /// Gives the room what a test makes of a packet.
    #[cfg(feature = "test-tap")]
    fn meddle(
        &mut self,
        meddler: &crate::shard::tap::Meddler,
        key: PeerKey,
        packet: &[u8],
        received: Option<SystemTime>,
        now: Instant,
    ) -> Result<Option<PacketKind>, DropReason> {
        let place = self.peers.get(key).ok_or(DropReason::UnknownPeer)?.room;
        let room = self.rooms.at(place).ok_or(DropReason::UnknownPeer)?.id;
        let mut outcome = Err(DropReason::Policy);
        for packet in (meddler.inbound)(room, packet) {
            let kind = self.peers.get(key).and_then(|peer| peer.kind_of(packet[1] & 0x7F));
            let kind = kind.ok_or(DropReason::Policy)?;
            outcome = self.take(place, kind, &packet, received, now);
        }
        outcome
    }

    fn rtcp(
        &mut self,
        bytes: &mut [u8],
        route: &Route,
        received: Option<SystemTime>,
        now: Instant,
    ) -> Result<Option<PacketKind>, DropReason> {
        let Some(key) = self.owner(&route.remote) else { return self.hand_over(bytes, route, received) };
        let peer = self.peers.get_mut(key).ok_or(DropReason::UnknownPeer)?;
        let srtp = peer.srtp.as_mut().ok_or(DropReason::Policy)?;
        let len = srtp.control_opener.open(bytes).map_err(reason_of)?;
        if let Err(exceeded) = peer.take_control(bytes.len(), now) {
            return Err(self.limited(key, control(exceeded)));
        }
        let (role, place) = (peer.role, peer.room);
        let Some(live) = self.rooms.at(place) else { return Err(DropReason::UnknownPeer) };
        let mut sink = Forwarding::new(&mut self.outbox, &mut self.peers, &self.setup.cname, None)
            .noting(&mut live.traffic);
        let mut time_asked = None;
        let parsed = match role {
            Role::Publish => {
                let mut messages = Vec::new();
                let parsed = rtcp::parse(&bytes[..len], &mut messages);
                for message in messages {
                    if let RtcpMessage::SenderReport(report) = message {
                        live.room.sender_report(report.ssrc, report.ntp_time, report.rtp_time, now);
                    }
                }
                parsed
            }
            // Leaving is said by DTLS or HTTP.
            Role::View => rtcp::requests(&bytes[..len], |request| match request {
                Request::Packets { media_ssrc, lost } => {
                    live.room.nack(key.subscriber(), media_ssrc, lost, now, &mut sink);
                }
                Request::KeyFrame { media_ssrc } => {
                    live.room.key_frame_requested(key.subscriber(), media_ssrc, now);
                }
                Request::Arrivals(feedback) => {
                    live.room.transport_feedback(key.subscriber(), &feedback, now);
                }
                Request::Reception { media_ssrc, fraction_lost } => {
                    live.room.reception_report(key.subscriber(), media_ssrc, fraction_lost, now);
                }
                Request::MostBits { bits_per_second } => {
                    live.room.receiver_estimate(key.subscriber(), bits_per_second, now);
                }
                Request::ReferenceTime { ssrc, ntp_middle } => time_asked = Some((ssrc, ntp_middle)),
                _ => {}
            }),
        };
        sink.finish();
        if let Some(asked) = time_asked {
            self.answer_time(key, asked, received);
        }
        self.after_room(place, now);
        parsed.map(|()| Some(PacketKind::Rtcp)).map_err(|_| DropReason::Malformed)
    }

    /// Tells a viewer how long ago its time came, so that it knows its round trip: one that sends no media learns it no other way.
    fn answer_time(&mut self, key: PeerKey, asked: (u32, u32), received: Option<SystemTime>) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let Some(reporter) = peer.media.iter().find(|leg| leg.track.is_some()) else { return };
        let reporter = reporter.params.local_ssrc;
        let (Some(route), Some(srtp)) = (&peer.route, &mut peer.srtp) else { return };
        let ago = received.and_then(|received| received.elapsed().ok()).unwrap_or_default();
        let ago = (ago.as_secs_f64() * 65_536.0) as u32;
        let cname = &self.setup.cname;
        self.outbox.report(route, srtp, |out| {
            rtcp::write_receiver_report(reporter, &[], cname, out);
            rtcp::write_reference_answer(reporter, asked, ago, out);
        });
    }

    /// Counts a packet beyond what its session may send; the session's first is logged, so that an operator can see whose.
    fn limited(&mut self, key: PeerKey, what: Limited) -> DropReason {
        self.outbox.tally.limit(what);
        let Some(peer) = self.peers.get_mut(key) else { return DropReason::RateLimit };
        let (first, session, role) = (peer.exceeds(), peer.session, peer.role);
        let Some(live) = self.rooms.at(peer.room) else { return DropReason::RateLimit };
        live.traffic.over_limit += 1;
        if first {
            self.outbox.tally.add(Event::SessionsLimited, 1);
            let (sends, limit) = what.labels();
            tracing::warn!(?session, room = ?live.id, ?role, sends, limit, "sends more than it may: the rest is dropped");
        }
        DropReason::RateLimit
    }
}

fn media(exceeded: Exceeded) -> Limited {
    match exceeded {
        Exceeded::Packets => Limited::MediaPackets,
        Exceeded::Bytes => Limited::MediaBytes,
    }
}

fn control(exceeded: Exceeded) -> Limited {
    match exceeded {
        Exceeded::Packets => Limited::ControlPackets,
        Exceeded::Bytes => Limited::ControlBytes,
    }
}

fn reason_of(error: OpenError) -> DropReason {
    match error {
        OpenError::Malformed => DropReason::Malformed,
        OpenError::Authentication => DropReason::Auth,
        OpenError::Replayed => DropReason::Replay,
        OpenError::TooManySources => DropReason::Policy,
    }
}
