//! Datagrams that the kernel gave to the wrong shard: SO_REUSEPORT spreads flows by their addresses, but a peer stays with
//! the shard of its room.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::SystemTime;

use crate::batch::{Route, Waker};

/// What one shard tells another.
pub(super) enum Handover {
    /// A datagram for one of your peers.
    Datagram { bytes: Box<[u8]>, route: Route, received: Option<SystemTime> },
    /// This address belongs to a peer of mine now.
    Learnt { address: SocketAddr, shard: usize },
    /// It does no longer.
    Forgotten { address: SocketAddr, shard: usize },
}

/// One shard's ways to all others.
pub(super) struct Neighbours {
    index: usize,
    outgoing: Vec<Outgoing>,
    incoming: Receiver<Handover>,
    /// Which shard has the peer at an address; only addresses that an authenticated check proved.
    elsewhere: HashMap<SocketAddr, usize>,
}

struct Outgoing {
    sender: SyncSender<Handover>,
    waker: Waker,
    /// Something was sent since it was woken last.
    unwoken: bool,
}

/// Connects all shards with each other; one waker each.
pub(super) fn connect(wakers: &[Waker]) -> Vec<Neighbours> {
    let (senders, receivers): (Vec<_>, Vec<_>) =
        wakers.iter().map(|_| sync_channel::<Handover>(RING)).unzip();
    let neighbours = receivers.into_iter().enumerate().map(|(index, incoming)| {
        let outgoing = senders.iter().zip(wakers).map(|(sender, waker)| Outgoing {
            sender: sender.clone(),
            waker: waker.clone(),
            unwoken: false,
        });
        Neighbours { index, outgoing: outgoing.collect(), incoming, elsewhere: HashMap::new() }
    });
    neighbours.collect()
}

impl Neighbours {
    /// The shard that has the peer at this address, when it is another one.
    pub(super) fn owner_of(&self, address: &SocketAddr) -> Option<usize> {
        self.elsewhere.get(address).copied()
    }

    /// Gives a datagram to another shard. `false` when its ring is full or there is no such shard.
    pub(super) fn hand_over(
        &mut self,
        shard: usize,
        bytes: &[u8],
        route: Route,
        received: Option<SystemTime>,
    ) -> bool {
        shard != self.index && self.send(shard, Handover::Datagram { bytes: bytes.into(), route, received })
    }

    /// Tells all others that an address belongs to a peer of this shard, or does no longer.
    pub(super) fn announce(&mut self, address: SocketAddr, mine: bool) {
        let index = self.index;
        for shard in (0..self.outgoing.len()).filter(|shard| *shard != index) {
            let news = match mine {
                true => Handover::Learnt { address, shard: index },
                false => Handover::Forgotten { address, shard: index },
            };
            // Lost news cost the peer datagrams until its next check is announced again.
            self.send(shard, news);
        }
        if mine {
            self.elsewhere.remove(&address);
        }
    }

    /// Wakes every shard that got something.
    pub(super) fn wake(&mut self) {
        for neighbour in self.outgoing.iter_mut().filter(|neighbour| neighbour.unwoken) {
            neighbour.waker.wake();
            neighbour.unwoken = false;
        }
    }

    /// The next datagram that another shard handed over.
    pub(super) fn receive(&mut self) -> Option<(Box<[u8]>, Route, Option<SystemTime>)> {
        loop {
            match self.incoming.try_recv() {
                Ok(Handover::Datagram { bytes, route, received }) => return Some((bytes, route, received)),
                Ok(Handover::Learnt { address, shard }) => {
                    self.elsewhere.insert(address, shard);
                }
                Ok(Handover::Forgotten { address, shard }) => {
                    if self.elsewhere.get(&address) == Some(&shard) {
                        self.elsewhere.remove(&address);
                    }
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return None,
            }
        }
    }

    fn send(&mut self, shard: usize, handover: Handover) -> bool {
        let Some(neighbour) = self.outgoing.get_mut(shard) else { return false };
        let sent = neighbour.sender.try_send(handover).is_ok();
        neighbour.unwoken |= sent;
        sent
    }
}

/// Datagrams that wait for one shard at most.
const RING: usize = 4_096;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn datagrams_reach_the_shard_that_announced_their_address() {
        let wakers = [Waker::new().unwrap(), Waker::new().unwrap()];
        let mut shards = connect(&wakers);
        let (mut second, mut first) = (shards.pop().unwrap(), shards.pop().unwrap());
        assert_eq!(first.owner_of(&address(1)), None);
        second.announce(address(1), true);
        assert!(first.receive().is_none(), "news are no datagrams");
        assert_eq!(first.owner_of(&address(1)), Some(1));
        let route = Route { remote: address(1), local: None };
        assert!(first.hand_over(1, b"hello", route, None));
        assert!(!first.hand_over(0, b"to itself", route, None));
        assert!(!first.hand_over(7, b"to nobody", route, None));
        assert_eq!(second.receive().unwrap().0[..], b"hello"[..]);
        second.announce(address(1), false);
        first.receive();
        assert_eq!(first.owner_of(&address(1)), None);
    }

    #[test]
    fn a_full_ring_refuses() {
        let wakers = [Waker::new().unwrap(), Waker::new().unwrap()];
        let mut shards = connect(&wakers);
        let route = Route { remote: address(1), local: None };
        let taken = (0..RING * 2).filter(|_| shards[0].hand_over(1, b"x", route, None)).count();
        assert_eq!(taken, RING);
    }
}
