//! What keeps a peer connected: STUN checks, which say where it is, and DTLS, which says who it is.

use std::time::{Instant, SystemTime};

use is::stun::StunMessage;

use crate::batch::Route;
use crate::shard::counters::events::Event;
use crate::shard::counters::packets::{DropReason, PacketKind};
use crate::shard::end::EndReason;
use crate::shard::ingress::control;
use crate::shard::worker::Worker;
use crate::transport::dtls::{DtlsError, DtlsEvent};
use crate::transport::ice::credentials::shard_of;
use crate::transport::ice::{CheckError, IceLite};

impl Worker {
    pub(super) fn stun(
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

    pub(super) fn dtls(
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
}
