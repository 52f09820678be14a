//! Sessions come and go: commands from HTTP, deadlines, and what a room asks for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant, SystemTime};

use latchkey_relay_core::{
    Event as RoomEvent, Mid, Origin, RtxParams, SubscriptionParams, TrackId, TrackParams,
};
use latchkey_wire::extension::{ExtensionKind, ExtensionMap as WireMap};
use latchkey_wire::id::{DeviceHandle, RoomId};
use latchkey_wire::rtcp;
use zeroize::Zeroizing;

use crate::shard::command::{
    Command, CommandError, EndReason, ExtensionMap, JoinAccepted, JoinError, JoinRequest, MediaLeg, Role,
    SessionEnd, SessionId,
};
use crate::shard::counters::Event;
use crate::shard::peer::{Admitted, Leg, Peer, PeerKey};
use crate::shard::sink::Forwarding;
use crate::shard::timers::Timer;
use crate::shard::worker::{Flow, Worker};
use crate::transport::dtls::Dtls;
use crate::transport::ice::{Credentials, IceLite};

impl Worker {
    /// Does what HTTP asks. An answer that nobody waits for any more is dropped.
    pub(super) fn command(&mut self, command: Command, now: Instant) -> Flow {
        match command {
            Command::Join { request, reply } => {
                let joined = self.join(*request, now);
                let session = joined.as_ref().ok().map(|accepted| accepted.session);
                if reply.send(joined).is_err()
                    && let Some(session) = session
                {
                    // The client went away while it was let in.
                    let _ = self.leave(session, now);
                }
            }
            Command::Leave { session, reply } => {
                let _ = reply.send(self.leave(session, now));
            }
            Command::AddCandidates { session, candidates, reply } => {
                // Lite never checks, so a candidate is only a hint; what counts is where the peer's checks come from.
                tracing::debug!(?session, candidates = candidates.len(), "trickled candidates");
                let _ = reply.send(self.find(session).map(|_| ()));
            }
            Command::IceRestart { session, ufrag, pwd, reply } => {
                let _ = reply.send(self.restart(session, ufrag, pwd));
            }
            Command::Cut { room, device, issued_before, reply } => {
                let _ = reply.send(self.cut(room, device, issued_before, now));
            }
            Command::TracksOf { room, reply } => {
                let place = self.rooms.find(&room);
                let _ = reply.send(place.and_then(|place| self.rooms.at(place)?.published()));
            }
            Command::Drain => self.draining = true,
            Command::Stop => return Flow::Stop,
        }
        Flow::Continue
    }

    fn join(&mut self, request: JoinRequest, now: Instant) -> Result<JoinAccepted, JoinError> {
        if self.draining {
            return Err(JoinError::Draining);
        }
        let left =
            request.session_expires.duration_since(SystemTime::now()).map_err(|_| JoinError::Expired)?;
        if self.is_cut(&request) {
            return Err(JoinError::CutOff);
        }
        if self.peers.len() >= self.setup.limits.sessions_per_shard {
            return Err(JoinError::Full);
        }
        let session = SessionId::random().map_err(|_| JoinError::Unavailable)?;
        let local = Credentials::random(self.index).map_err(|_| JoinError::Unavailable)?;
        let remote = Credentials { ufrag: request.remote.ufrag, pwd: Zeroizing::new(request.remote.pwd) };
        let (room, media) = match request.role {
            Role::Publish => self.admit_publisher(request.room, request.device, request.media, now)?,
            Role::View => self.admit_viewer(request.room, request.media)?,
        };
        let admitted = Admitted {
            session,
            device: request.device,
            role: request.role,
            room,
            granted_at: request.granted_at,
            expires: now + left.min(LONGEST_SESSION),
            media,
            ice: IceLite::new(local.clone(), remote),
            dtls: Dtls::new(self.setup.identity.clone(), request.remote.fingerprint),
        };
        let key = self.peers.insert(Peer::new(admitted, &self.setup.limits, now));
        self.by_session.insert(session, key);
        self.by_ufrag.insert(local.ufrag.clone(), key);
        if request.role == Role::Publish {
            self.publishers += 1;
        }
        if let Some(live) = self.rooms.at(room) {
            live.members += 1;
            if request.role == Role::Publish {
                live.publisher = Some(key);
            }
        }
        self.outbox.tally.add(Event::SessionOpened, 1);
        self.arm_peer(key);
        self.arm_room(room);
        tracing::info!(?session, room = ?request.room, device = ?request.device, role = ?request.role, "session opened");
        Ok(JoinAccepted { session, ufrag: local.ufrag, pwd: local.pwd.to_string() })
    }

    fn admit_publisher(
        &mut self,
        id: RoomId,
        device: DeviceHandle,
        media: Vec<MediaLeg>,
        now: Instant,
    ) -> Result<(u32, Vec<Leg>), JoinError> {
        let mut kinds = Vec::new();
        for leg in media.iter().filter(|leg| leg.codec.is_some()) {
            if kinds.contains(&leg.kind) {
                return Err(JoinError::Unusable("more than one media section of a kind"));
            }
            kinds.push(leg.kind);
        }
        if kinds.is_empty() {
            return Err(JoinError::NoCommonMedia);
        }
        let place = self.rooms.find_or_insert(id, &self.setup.room_config, now);
        let former = self.rooms.at(place).and_then(|live| live.publisher);
        if let Some(former) = former {
            if self.peers.get(former).is_some_and(|peer| peer.device != device) {
                return Err(JoinError::RoomTaken);
            }
            self.end(former, EndReason::Replaced, now);
        }
        // Ending it may have removed an empty room.
        let place = self.rooms.find_or_insert(id, &self.setup.room_config, now);
        let live = self.rooms.at(place).expect("a room that was just found");
        let mut changed = Vec::new();
        for track in live.room.tracks().collect::<Vec<_>>() {
            let goes_on = live
                .room
                .track(track)
                .is_some_and(|old| media.iter().any(|leg| leg.codec == Some(old.codec)));
            if !goes_on {
                changed.push(track);
                live.room.unpublish(track);
            }
        }
        let mut legs = Vec::with_capacity(media.len());
        for params in media {
            let track = match params.codec {
                Some(codec) => {
                    let offered = track_params(&params, codec);
                    Some(match live.track_with(codec) {
                        Some(track) => {
                            live.room.replace(track, offered).map_err(|_| JoinError::Unavailable)?;
                            track
                        }
                        None => live.room.publish(offered, now).map_err(|_| JoinError::Full)?,
                    })
                }
                None => None,
            };
            legs.push(Leg { params, track });
        }
        if !changed.is_empty() {
            self.end_viewers_of(place, &changed, now);
        }
        Ok((place, legs))
    }

    fn admit_viewer(&mut self, id: RoomId, media: Vec<MediaLeg>) -> Result<(u32, Vec<Leg>), JoinError> {
        let place = self.rooms.find(&id).ok_or(JoinError::NoPublisher)?;
        let live =
            self.rooms.at(place).filter(|live| live.publisher.is_some()).ok_or(JoinError::NoPublisher)?;
        let mut legs = Vec::with_capacity(media.len());
        for params in media {
            let track = params.codec.and_then(|codec| live.track_with(codec));
            if track.is_some() && Mid::new(&params.mid).is_none() {
                return Err(JoinError::Unusable("a mid longer than 16 bytes"));
            }
            legs.push(Leg { params, track });
        }
        if legs.iter().all(|leg| leg.track.is_none()) {
            return Err(JoinError::NoCommonMedia);
        }
        // The publisher is one of the members.
        if live.members > self.setup.room_config.subscribers {
            return Err(JoinError::Full);
        }
        Ok((place, legs))
    }

    /// Lets a viewer have its tracks, once keys and address are known.
    pub(super) fn view(&mut self, key: PeerKey, now: Instant) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        if peer.role != Role::View || peer.srtp.is_none() || peer.route.is_none() || peer.subscribed {
            return;
        }
        peer.subscribed = true;
        let place = peer.room;
        let Some(live) = self.rooms.at(place) else { return };
        for leg in &peer.media {
            let Some(track) = leg.track else { continue };
            let Some(params) = subscription_params(&leg.params) else { continue };
            if let Err(error) = live.room.subscribe(key.subscriber(), track, &params, now) {
                tracing::warn!(session = ?peer.session, %error, "a viewer misses a track");
            }
        }
        // A picture from the cache need not wait for the publisher's next packet.
        self.forward(place, now);
    }

    fn restart(
        &mut self,
        session: SessionId,
        ufrag: String,
        pwd: String,
    ) -> Result<JoinAccepted, CommandError> {
        let key = self.find(session)?;
        let local = Credentials::random(self.index).map_err(|_| CommandError::Unavailable)?;
        let peer = self.peers.get_mut(key).ok_or(CommandError::UnknownSession)?;
        let void = peer.ice.restart(local.clone(), Credentials { ufrag, pwd: Zeroizing::new(pwd) });
        if let Some(void) = void {
            self.by_ufrag.remove(&void);
        }
        self.by_ufrag.insert(local.ufrag.clone(), key);
        tracing::info!(?session, "ICE: restart");
        Ok(JoinAccepted { session, ufrag: local.ufrag, pwd: local.pwd.to_string() })
    }

    fn leave(&mut self, session: SessionId, now: Instant) -> Result<(), CommandError> {
        let key = self.find(session)?;
        self.end(key, EndReason::Left, now);
        Ok(())
    }

    fn cut(&mut self, id: RoomId, device: DeviceHandle, issued_before: SystemTime, now: Instant) -> usize {
        self.cuts.insert((id, device), (issued_before, now + CUT_HOLDS));
        let Some(place) = self.rooms.find(&id) else { return 0 };
        let legs: Vec<_> = self
            .peers
            .iter()
            .filter(|(_, peer)| {
                peer.room == place && peer.device == device && peer.granted_at <= issued_before
            })
            .map(|(key, _)| key)
            .collect();
        for key in &legs {
            self.end(*key, EndReason::CutOff, now);
        }
        legs.len()
    }

    fn is_cut(&self, request: &JoinRequest) -> bool {
        self.cuts
            .get(&(request.room, request.device))
            .is_some_and(|(before, _)| request.granted_at <= *before)
    }

    fn find(&self, session: SessionId) -> Result<PeerKey, CommandError> {
        match (self.by_session.get(&session), self.ended.get(&session)) {
            (Some(key), _) => Ok(*key),
            (None, Some((reason, _))) => Err(CommandError::Ended(*reason)),
            (None, None) => Err(CommandError::UnknownSession),
        }
    }

    /// Ends a session at once: nothing is sent to the peer any more, and nothing of it is taken.
    pub(super) fn end(&mut self, key: PeerKey, reason: EndReason, now: Instant) {
        self.end_because(key, reason, None, now);
    }

    fn end_because(&mut self, key: PeerKey, reason: EndReason, detail: Option<String>, now: Instant) {
        let Some(mut peer) = self.peers.remove(key) else { return };
        if let (Some(route), Some(srtp)) = (&peer.route, &mut peer.srtp) {
            let reporters: Vec<_> = peer
                .media
                .iter()
                .filter(|leg| leg.track.is_some())
                .map(|leg| leg.params.local_ssrc)
                .collect();
            let cname = &self.setup.cname;
            self.outbox.report(route, srtp, |out| write_bye(&reporters, cname, out));
        }
        peer.dtls.close(now);
        while let Some(datagram) = peer.dtls.poll_transmit() {
            if let Some(route) = &peer.route {
                self.outbox.transport(route, &datagram);
            }
        }
        let addresses: Vec<_> = peer.ice.addresses().copied().collect();
        for address in addresses {
            self.forget(&address, key);
        }
        for ufrag in peer.ice.ufrags() {
            self.by_ufrag.remove(ufrag);
        }
        self.by_session.remove(&peer.session);
        self.ended.insert(peer.session, (reason, now + ENDED_KNOWN));
        self.outbox.tally.ended(reason);
        tracing::info!(session = ?peer.session, role = ?peer.role, %reason, detail, "session ended");
        if let Some(ends) = &self.setup.ends {
            // Whoever listened may be gone already when the relay stops.
            let _ = ends.send(SessionEnd { session: peer.session, reason, detail });
        }
        if peer.role == Role::Publish {
            self.publishers -= 1;
        }
        let Some(live) = self.rooms.at(peer.room) else { return };
        live.members -= 1;
        match peer.role {
            Role::View => live.room.unsubscribe(key.subscriber()),
            Role::Publish if live.publisher == Some(key) => {
                live.publisher = None;
                live.vacant_since = now;
                peer.media.iter().filter_map(|leg| leg.track).for_each(|track| live.room.vacate(track));
            }
            Role::Publish => {}
        }
        match live.members {
            0 => self.rooms.remove(peer.room),
            _ => self.arm_room(peer.room),
        }
    }

    fn end_viewers_of(&mut self, place: u32, tracks: &[TrackId], now: Instant) {
        let concerned: Vec<_> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.room == place && peer.role == Role::View)
            .filter(|(_, peer)| {
                peer.media.iter().any(|leg| leg.track.is_some_and(|track| tracks.contains(&track)))
            })
            .map(|(key, _)| key)
            .collect();
        for key in concerned {
            self.end(key, EndReason::MediaChanged, now);
        }
    }

    /// Forwards what every room got in this batch, unless it pays to wait for the rest of a frame.
    pub(super) fn forward_pending(&mut self, now: Instant) {
        let mut places = std::mem::take(&mut self.pending);
        for place in places.drain(..) {
            let Some(live) = self.rooms.at(place) else { continue };
            if live.hold.wants_more(live.room.subscriber_count(), now) {
                live.pending = false;
                live.held = true;
                self.arm_room(place);
            } else {
                self.guarded(place, now, |worker| worker.forward(place, now));
            }
        }
        self.pending = places;
    }

    /// Does something with a room. A panic there is a bug of ours that must not take the shard down: the room's sessions
    /// end, all others go on.
    pub(super) fn guarded(&mut self, place: u32, now: Instant, work: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| work(self))).is_err() {
            self.give_up(place, now);
        }
    }

    /// Ends every session of a room whose state cannot be trusted any more.
    pub(super) fn give_up(&mut self, place: u32, now: Instant) {
        tracing::error!("a fault of the relay in one room: its sessions end, all others go on");
        // A packet that is not sealed yet may lie there.
        self.outbox.arena.clear();
        let members: Vec<_> =
            self.peers.iter().filter(|(_, peer)| peer.room == place).map(|(key, _)| key).collect();
        self.rooms.remove(place);
        for key in members {
            self.end(key, EndReason::Fault, now);
        }
    }

    fn forward(&mut self, place: u32, now: Instant) {
        let Some(live) = self.rooms.at(place) else { return };
        live.hold.release();
        live.pending = false;
        live.held = false;
        let received = live.received.take();
        let mut sink = Forwarding::new(&mut self.outbox, &mut self.peers, &self.setup.cname, received);
        live.room.forward(now, &mut sink);
        sink.finish();
        self.after_room(place, now);
    }

    /// Carries out what a room asks for, and notes when it wants to be called next.
    pub(super) fn after_room(&mut self, place: u32, now: Instant) {
        loop {
            let Some(live) = self.rooms.at(place) else { return };
            let Some(event) = live.room.poll_event() else { break };
            let publisher = live.publisher;
            match event {
                RoomEvent::KeyFrameWanted { track, ssrc } => {
                    self.tell(publisher, track, |reporter, _, out| rtcp::write_pli(reporter, ssrc, out));
                    self.outbox.tally.add(Event::PliOut, 1);
                }
                RoomEvent::PacketsMissing { track, ssrc, missing } => {
                    self.tell(publisher, track, |reporter, _, out| {
                        rtcp::write_nack(reporter, ssrc, missing.as_slice(), out);
                    });
                    self.outbox.tally.add(Event::NackOut, 1);
                }
                RoomEvent::Reception { track, report } => {
                    self.tell_plainly(publisher, track, |reporter, cname, out| {
                        rtcp::write_receiver_report(reporter, &[report], cname, out);
                    });
                }
                RoomEvent::TrackRefused { reason, .. } => {
                    if let Some(key) = publisher {
                        self.end_because(key, EndReason::NotSealed, Some(reason.to_string()), now);
                    }
                }
                RoomEvent::ViewingStarted { subscriber, track, from } => {
                    if let Some(peer) =
                        self.peers.get_mut(PeerKey::of(subscriber)).filter(|peer| !peer.viewing)
                    {
                        peer.viewing = true;
                        let after = now.saturating_duration_since(peer.joined);
                        self.outbox.tally.joined(after);
                        tracing::info!(session = ?peer.session, ?track, ?from, after_ms = after.as_millis() as u64, "first packet sent");
                    }
                }
                RoomEvent::TrackAccepted { track } => {
                    tracing::info!(?track, "the publisher's media is sealed");
                }
                _ => {}
            }
        }
        if let Some(live) = self.rooms.at(place) {
            let stats = live.room.take_stats();
            let tally = &mut self.outbox.tally;
            tally.add(Event::NackedPackets, stats.nacks_received);
            tally.add(Event::PliIn, stats.key_frame_requests_received);
        }
        self.arm_room(place);
    }

    /// Sends feedback to a room's publisher, after an empty receiver report: not everyone takes feedback alone (RFC 5506).
    fn tell(
        &mut self,
        publisher: Option<PeerKey>,
        track: TrackId,
        write: impl FnOnce(u32, &str, &mut Vec<u8>),
    ) {
        self.tell_plainly(publisher, track, |reporter, cname, out| {
            rtcp::write_receiver_report(reporter, &[], cname, out);
            write(reporter, cname, out);
        });
    }

    fn tell_plainly(
        &mut self,
        publisher: Option<PeerKey>,
        track: TrackId,
        write: impl FnOnce(u32, &str, &mut Vec<u8>),
    ) {
        let Some(peer) = publisher.and_then(|key| self.peers.get_mut(key)) else { return };
        let Some(reporter) = peer.reporter(track) else { return };
        let (Some(route), Some(srtp)) = (&peer.route, &mut peer.srtp) else { return };
        let cname = &self.setup.cname;
        self.outbox.report(route, srtp, |out| write(reporter, cname, out));
    }

    pub(super) fn peer_due(&mut self, key: PeerKey, now: Instant) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        if now >= peer.expires {
            return self.end(key, EndReason::Expired, now);
        }
        if let Some(reason) = peer.silent_for(&self.setup.limits, now) {
            return self.end(key, reason, now);
        }
        if peer.dtls.poll_timeout().is_some_and(|due| due <= now) {
            let result = peer.dtls.handle_timeout(now);
            while let Some(datagram) = peer.dtls.poll_transmit() {
                if let Some(route) = &peer.route {
                    self.outbox.transport(route, &datagram);
                }
            }
            if result.is_err() {
                return self.end(key, EndReason::DtlsFailed, now);
            }
        }
        self.arm_peer(key);
    }

    pub(super) fn room_due(&mut self, place: u32, now: Instant) {
        let Some(live) = self.rooms.at(place) else { return };
        if live.publisher.is_none() && now >= live.vacant_since + self.setup.limits.publisher_grace {
            let viewers: Vec<_> =
                self.peers.iter().filter(|(_, peer)| peer.room == place).map(|(key, _)| key).collect();
            for key in viewers {
                self.end(key, EndReason::PublisherGone, now);
            }
            self.rooms.remove(place);
            return;
        }
        if live.held && live.hold.until().is_none_or(|until| until <= now) {
            return self.forward(place, now);
        }
        let mut sink = Forwarding::new(&mut self.outbox, &mut self.peers, &self.setup.cname, None);
        live.room.handle_timeout(now, &mut sink);
        sink.finish();
        self.after_room(place, now);
    }

    pub(super) fn arm_peer(&mut self, key: PeerKey) {
        if let Some(peer) = self.peers.get_mut(key) {
            let deadline = peer.deadline(&self.setup.limits);
            self.timers.arm(Timer::Peer(key.index()), deadline, &mut peer.armed);
        }
    }

    fn arm_room(&mut self, place: u32) {
        if let Some(live) = self.rooms.at(place)
            && let Some(deadline) = live.deadline(self.setup.limits.publisher_grace)
        {
            self.timers.arm(Timer::Room(place), deadline, &mut live.armed);
        }
    }
}

fn track_params(leg: &MediaLeg, codec: latchkey_wire::codec::Codec) -> TrackParams {
    TrackParams {
        codec,
        payload_type: leg.payload_type,
        rtx_payload_type: leg.rtx_payload_type,
        ssrc: leg.remote_ssrc,
        extensions: wire_map(&leg.extensions),
        nack: leg.feedback.nack,
    }
}

fn subscription_params(leg: &MediaLeg) -> Option<SubscriptionParams> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).ok()?;
    Some(SubscriptionParams {
        ssrc: leg.local_ssrc,
        payload_type: leg.payload_type,
        rtx: leg.rtx_payload_type.map(|payload_type| RtxParams { ssrc: leg.local_rtx_ssrc, payload_type }),
        mid: Mid::new(&leg.mid)?,
        extensions: wire_map(&leg.extensions),
        origin: Origin {
            sequence: u16::from_be_bytes([random[0], random[1]]),
            rtx_sequence: u16::from_be_bytes([random[2], random[3]]),
            timestamp: u32::from_be_bytes([random[4], random[5], random[6], random[7]]),
        },
    })
}

fn wire_map(map: &ExtensionMap) -> WireMap {
    let mut wire = WireMap::new();
    let entries = [
        (ExtensionKind::Mid, map.mid),
        (ExtensionKind::AbsCaptureTime, map.abs_capture_time),
        (ExtensionKind::DependencyDescriptor, map.dependency_descriptor),
        (ExtensionKind::TransportCc, map.transport_cc),
        (ExtensionKind::PlayoutDelay, map.playout_delay),
        (ExtensionKind::AbsSendTime, map.abs_send_time),
    ];
    for (kind, id) in entries {
        if let Some(id) = id {
            // An id that is taken or reserved leaves the extension out, as if it had not been negotiated.
            let _ = wire.insert(kind, id);
        }
    }
    wire
}

/// An empty receiver report and a BYE (RFC 3550 section 6.6).
fn write_bye(ssrcs: &[u32], cname: &str, out: &mut Vec<u8>) {
    let Some(first) = ssrcs.first() else { return };
    let count = ssrcs.len().min(31);
    rtcp::write_receiver_report(*first, &[], cname, out);
    out.extend([0x80 | count as u8, 203, 0, count as u8]);
    out.extend(ssrcs[..count].iter().flat_map(|ssrc| ssrc.to_be_bytes()));
}

/// Grants live 60 s, so that no older one is around after twice that time.
const CUT_HOLDS: Duration = Duration::from_secs(120);
const ENDED_KNOWN: Duration = Duration::from_secs(60);
/// Deadlines far away are shortened, because adding them to the clock could overflow.
const LONGEST_SESSION: Duration = Duration::from_secs(30 * 24 * 3600);
