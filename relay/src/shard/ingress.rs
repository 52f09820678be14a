//! What comes in: each datagram to its peer, and nothing changed by one that is not proven to be the peer's.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant, SystemTime};

use is::stun::StunMessage;
use latchkey_relay_core::{DropReason as Refused, Exceeded};
use latchkey_wire::codec::MediaKind;
use latchkey_wire::rtcp::{self, Request, RtcpMessage};

use crate::batch::Route;
use crate::demux::{Protocol, classify};
use crate::shard::command::Role;
use crate::shard::counters::{Direction, DropReason, Event, Limited, PacketKind};
use crate::shard::end::EndReason;
use crate::shard::peer::PeerKey;
use crate::shard::sink::Forwarding;
use crate::shard::timers::{Armed, Timer};
use crate::shard::worker::Worker;
use crate::srtp::OpenError;
use crate::transport::dtls::{DtlsError, DtlsEvent};
use crate::transport::ice::{CheckError, IceLite, shard_of};

impl Worker {
    /// Handles one datagram; counts it by what it was, or by why it was dropped.
    pub(super) fn datagram(
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
        meddler: &crate::shard::start::Meddler,
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

    fn stun(
        &mut self,
        bytes: &[u8],
        route: &Route,
        received: Option<SystemTime>,
        now: Instant,
    ) -> Result<Option<PacketKind>, DropReason> {
        let message = StunMessage::parse(bytes).map_err(|_| DropReason::Malformed)?;
        let (ufrag, _) = message.split_username().ok_or(DropReason::Malformed)?;
        let Some(key) = self.by_ufrag.get(ufrag).copied() else {
            // Only what names another shard goes there, and that one checks it as strictly.
            let shard = shard_of(ufrag).ok_or(DropReason::UnknownPeer)?;
            if shard == self.index {
                return self.probe(&message, route, now);
            }
            return self.give_to(shard, bytes, route, received);
        };
        if self.is_taken(&route.remote, key, now) {
            return Err(DropReason::Policy);
        }
        let peer = self.peers.get_mut(key).ok_or(DropReason::UnknownPeer)?;
        let first = peer.ice.last_check().is_none();
        let mut answer = [0; IceLite::ANSWER];
        let checked = peer.ice.check(now, route, &message, &mut answer).map_err(|error| match error {
            CheckError::Auth => DropReason::Auth,
            CheckError::Unexpected => DropReason::Policy,
        })?;
        if checked.moved {
            peer.route = peer.ice.selected().copied();
        }
        if first {
            tracing::info!(session = ?peer.session, "ICE: first authenticated check");
        } else if checked.moved {
            tracing::info!(session = ?peer.session, "ICE: address moved");
        }
        // One that checks too often is heard, but not answered each time.
        let exceeded = peer.take_control(bytes.len(), now).err();
        if exceeded.is_none() {
            self.outbox.transport(route, &answer[..checked.answer]);
        }
        if checked.learnt {
            self.learn(route.remote, key);
        }
        if checked.learnt || self.taking_over {
            // Also again when a check came by another shard: it may have missed the news.
            self.neighbours.announce(route.remote, true);
        }
        if let Some(address) = checked.forgotten {
            self.forget(&address, key);
        }
        if let Some(ufrag) = checked.retired {
            self.by_ufrag.remove(&ufrag);
        }
        if checked.moved {
            self.view(key, now);
        }
        match exceeded {
            Some(exceeded) => Err(self.limited(key, control(exceeded))),
            None => Ok(Some(PacketKind::Transport)),
        }
    }

    /// A check that names no session: somebody looks whether this port can be reached.
    fn probe(
        &mut self,
        message: &StunMessage<'_>,
        route: &Route,
        now: Instant,
    ) -> Result<Option<PacketKind>, DropReason> {
        let mut answer = [0; IceLite::ANSWER];
        let written = self.probes.answer(message, route.remote, &mut answer, now);
        let written = written.ok_or(DropReason::UnknownPeer)?;
        self.outbox.transport(route, &answer[..written]);
        Ok(Some(PacketKind::Transport))
    }

    fn dtls(
        &mut self,
        bytes: &[u8],
        route: &Route,
        received: Option<SystemTime>,
        now: Instant,
    ) -> Result<Option<PacketKind>, DropReason> {
        let Some(key) = self.owner(&route.remote) else { return self.hand_over(bytes, route, received) };
        let peer = self.peers.get_mut(key).ok_or(DropReason::UnknownPeer)?;
        if let Err(exceeded) = peer.take_dtls(bytes.len(), now) {
            return Err(self.limited(key, control(exceeded)));
        }
        let result = peer.dtls.receive(now, bytes);
        // Before a nomination the answer goes where the question came from; that address was checked.
        let to = peer.route.unwrap_or(*route);
        while let Some(datagram) = peer.dtls.poll_transmit() {
            self.outbox.transport(&to, &datagram);
        }
        match result {
            Ok(None) => {}
            Ok(Some(DtlsEvent::Connected(keys))) => {
                tracing::info!(session = ?peer.session, profile = keys.profile.label(), "DTLS: connected");
                peer.key(&keys);
                self.connecting -= 1;
                self.outbox.tally.add(Event::DtlsConnected, 1);
                self.view(key, now);
            }
            Ok(Some(DtlsEvent::Closed)) => self.end(key, EndReason::PeerClosed, now),
            Err(DtlsError::Records) => return Err(DropReason::Malformed),
            Err(DtlsError::Fingerprint) => {
                self.end(key, EndReason::FingerprintMismatch, now);
                return Err(DropReason::Auth);
            }
            Err(_) => {
                self.end(key, EndReason::DtlsFailed, now);
                return Err(DropReason::Auth);
            }
        }
        self.arm_peer(key);
        Ok(Some(PacketKind::Transport))
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
                _ => {}
            }),
        };
        sink.finish();
        self.after_room(place, now);
        parsed.map(|()| Some(PacketKind::Rtcp)).map_err(|_| DropReason::Malformed)
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

    /// The peer at an address.
    #[inline]
    pub(super) fn owner(&mut self, remote: &SocketAddr) -> Option<PeerKey> {
        if let Some((address, key)) = &self.last_owner
            && address == remote
        {
            return Some(*key);
        }
        let key = *self.by_address.get(remote)?;
        self.last_owner = Some((*remote, key));
        Some(key)
    }

    /// Whether the address belongs to another session that was checked from it lately. Otherwise anyone with a session of
    /// their own could take a stranger's address by a check with a forged source.
    fn is_taken(&self, remote: &SocketAddr, by: PeerKey, now: Instant) -> bool {
        let Some(owner) = self.by_address.get(remote).filter(|owner| **owner != by) else { return false };
        let last = self.peers.get(*owner).and_then(|peer| peer.ice.last_check_from(remote));
        last.is_some_and(|last| now.saturating_duration_since(last) < OWNED)
    }

    fn learn(&mut self, address: SocketAddr, key: PeerKey) {
        if let Some(former) = self.by_address.insert(address, key).filter(|former| *former != key)
            && let Some(peer) = self.peers.get_mut(former)
        {
            peer.ice.lose(&address);
            peer.route = peer.ice.selected().copied();
        }
        self.last_owner = None;
    }

    /// The address is no longer this peer's.
    pub(super) fn forget(&mut self, address: &SocketAddr, key: PeerKey) {
        if self.by_address.get(address) == Some(&key) {
            self.by_address.remove(address);
            self.neighbours.announce(*address, false);
        }
        self.last_owner = None;
    }

    /// Gives a datagram from an address unknown here to the shard that knows it.
    fn hand_over(
        &mut self,
        bytes: &[u8],
        route: &Route,
        received: Option<SystemTime>,
    ) -> Result<Option<PacketKind>, DropReason> {
        let shard = self.neighbours.owner_of(&route.remote).ok_or(DropReason::UnknownPeer)?;
        self.give_to(shard, bytes, route, received)
    }

    fn give_to(
        &mut self,
        shard: usize,
        bytes: &[u8],
        route: &Route,
        received: Option<SystemTime>,
    ) -> Result<Option<PacketKind>, DropReason> {
        match self.neighbours.hand_over(shard, bytes, *route, received) {
            true => Ok(None),
            false => Err(DropReason::QueueFull),
        }
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

/// Three of the usual intervals between checks.
const OWNED: Duration = Duration::from_secs(8);
