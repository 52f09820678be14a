//! Whose an address is: a peer's of this shard, another shard's, or nobody's.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use crate::batch::Route;
use crate::demux::{self, Urgency};
use crate::shard::counters::packets::{DropReason, PacketKind};
use crate::shard::peer::PeerKey;
use crate::shard::worker::Worker;

impl Worker {
    /// The peer at an address.
    #[inline]
    pub(in crate::shard) fn owner(&mut self, remote: &SocketAddr) -> Option<PeerKey> {
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
    pub(super) fn is_taken(&self, remote: &SocketAddr, by: PeerKey, now: Instant) -> bool {
        let Some(owner) = self.by_address.get(remote).filter(|owner| **owner != by) else { return false };
        let last = self.peers.get(*owner).and_then(|peer| peer.ice.last_check_from(remote));
        last.is_some_and(|last| now.saturating_duration_since(last) < OWNED)
    }

    pub(super) fn learn(&mut self, address: SocketAddr, key: PeerKey) {
        if let Some(former) = self.by_address.insert(address, key).filter(|former| *former != key)
            && let Some(peer) = self.peers.get_mut(former)
        {
            peer.ice.lose(&address);
            peer.route = peer.ice.selected().copied();
        }
        self.last_owner = None;
    }

    /// The address is no longer this peer's.
    pub(in crate::shard) fn forget(&mut self, address: &SocketAddr, key: PeerKey) {
        if self.by_address.get(address) == Some(&key) {
            self.by_address.remove(address);
            self.neighbours.announce(*address, false);
        }
        self.last_owner = None;
    }

    /// Gives a datagram from an address unknown here to the shard that knows it.
    pub(super) fn hand_over(
        &mut self,
        bytes: &[u8],
        route: &Route,
        received: Option<SystemTime>,
    ) -> Result<Option<PacketKind>, DropReason> {
        let shard = self.neighbours.owner_of(&route.remote).ok_or(DropReason::UnknownPeer)?;
        self.give_to(shard, bytes, route, received)
    }

    pub(super) fn give_to(
        &mut self,
        shard: usize,
        bytes: &[u8],
        route: &Route,
        received: Option<SystemTime>,
    ) -> Result<Option<PacketKind>, DropReason> {
        // A stranger's first check opens the way for all that follows.
        let is_known = self.neighbours.owner_of(&route.remote) == Some(shard);
        let urgency = if is_known { demux::urgency(bytes) } else { Urgency::Now };
        match self.neighbours.hand_over(shard, (bytes, urgency), *route, received) {
            true => Ok(None),
            false => Err(DropReason::QueueFull),
        }
    }
}

/// Three of the usual intervals between checks.
const OWNED: Duration = Duration::from_secs(8);
