//! The life of a session: commands from HTTP, deadlines, and its end.

use std::time::{Duration, Instant, SystemTime};

use latchkey_wire::id::{DeviceHandle, RoomId};
use latchkey_wire::rtcp;
use zeroize::Zeroizing;

use crate::shard::admit::subscription_params;
use crate::shard::command::join::{JoinAccepted, Role};
use crate::shard::command::{Command, CommandError};
use crate::shard::counters::events::Event;
use crate::shard::end::{EndReason, SessionEnd};
use crate::shard::neighbours::message::Word;
use crate::shard::peer::PeerKey;
use crate::shard::session_id::SessionId;
use crate::shard::timers::Timer;
use crate::shard::worker::{Flow, Worker};
use crate::transport::ice::credentials::Credentials;

impl Worker {
    /// Does what HTTP asks. An answer that nobody waits for any more is dropped.
    pub(super) fn command(&mut self, command: Command, now: Instant) -> Flow {
        match command {
            Command::Join { request, home, reply } => {
                let joined = self.join(*request, home.as_ref(), now);
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
            Command::Outline { room, reply } => {
                let live = self.rooms.find(&room).and_then(|place| self.rooms.at(place));
                let published = live.filter(|live| live.publisher.is_some());
                let _ = reply.send(published.map(|live| live.outline()));
            }
            Command::Rooms { reply } => {
                let _ = reply.send(self.rooms.figures());
            }
            Command::OpenProbe { reply } => {
                let credentials = Credentials::random(self.index).ok();
                let opened = credentials.filter(|new| self.probes.open(new.clone(), now));
                let _ = reply.send(opened);
            }
            Command::Drain => self.draining = true,
            Command::Stop => return Flow::Stop,
        }
        Flow::Continue
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

    /// As [`end`](Self::end), with what exactly was wrong.
    pub(super) fn end_because(
        &mut self,
        key: PeerKey,
        reason: EndReason,
        detail: Option<String>,
        now: Instant,
    ) {
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
        tracing::info!(session = ?peer.session, role = ?peer.role, %reason, detail, over_limit = peer.over_limit, "session ended");
        if let Some(ends) = &self.setup.ends {
            // Whoever listened may be gone already when the relay stops.
            let _ = ends.send(SessionEnd { session: peer.session, reason, detail });
        }
        self.connecting -= usize::from(peer.srtp.is_none());
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
                peer.media.iter().flat_map(|leg| leg.tracks()).for_each(|track| live.room.vacate(track));
                self.tell_branches(peer.room, &Word::Vacated);
            }
            Role::Publish => {}
        }
        self.after_leaving(peer.room);
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

    /// Tells a publisher how its packets came, when it is time.
    pub(super) fn tell_arrivals(&mut self, key: PeerKey, now: Instant) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let (Some(route), Some(srtp)) = (&peer.route, &mut peer.srtp) else { return };
        let Some(wide) = peer.transport_wide.as_mut().filter(|wide| wide.due().is_some_and(|due| due <= now))
        else {
            return;
        };
        let cname = &self.setup.cname;
        let mut more = true;
        while more {
            self.outbox.report(route, srtp, |out| {
                more = wide.write(cname, out);
            });
            self.outbox.tally.add(Event::TransportFeedbackOut, u64::from(more));
        }
    }

    pub(super) fn arm_peer(&mut self, key: PeerKey) {
        if let Some(peer) = self.peers.get_mut(key) {
            let deadline = peer.deadline(&self.setup.limits);
            self.timers.arm(Timer::Peer(key.index()), deadline, &mut peer.armed);
        }
    }
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
