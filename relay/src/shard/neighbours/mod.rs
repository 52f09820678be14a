//! What shards tell each other: one bounded ring for every ordered pair of them, without a lock.
//!
//! ```text
//! shipments  packets of a room, from its home to the shards that have viewers of it
//! words      what the two say about a room besides
//! datagrams  SO_REUSEPORT spreads flows by their addresses, but a peer stays with its shard
//! addresses  which shard has the peer at an address
//! ```
//!
//! Packets travel in pooled buffers, many at once. What finds a ring full is counted and lost: packets of a room are asked
//! for again, datagrams are UDP. Words are kept until there is room. Addresses, and datagrams that are not urgent, wake nobody
//! for a while: the next picture does.

pub(super) mod message;
mod pool;
mod way;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Instant, SystemTime};

use latchkey_wire::id::RoomId;

use crate::batch::{Route, Waker};
use crate::demux::Urgency;
use crate::shard::neighbours::message::{Datagrams, Message, Shipment, Word};
use crate::shard::neighbours::pool::Pool;
use crate::shard::neighbours::way::Way;

/// One shard's ways to all others.
pub(super) struct Neighbours {
    /// By shard; none to itself.
    ways: Vec<Option<Way>>,
    incoming: Vec<(usize, Receiver<Message>)>,
    /// How often this shard looked at its rings.
    looks: Arc<AtomicU64>,
    /// Whose turn it is to be read.
    turn: usize,
    shipments: Pool<Shipment>,
    datagrams: Pool<Datagrams>,
    /// Which shard has the peer at an address; only addresses that an authenticated check proved.
    elsewhere: HashMap<SocketAddr, usize>,
}

/// Connects all shards with each other; one waker each.
pub(super) fn connect(wakers: &[Waker]) -> Vec<Neighbours> {
    let shards = wakers.len();
    let looks: Vec<Arc<AtomicU64>> = wakers.iter().map(|_| Arc::default()).collect();
    let mut incoming: Vec<Vec<_>> = wakers.iter().map(|_| Vec::with_capacity(shards)).collect();
    let mut connected = Vec::with_capacity(shards);
    for index in 0..shards {
        let way = |(to, waker): (usize, &Waker)| {
            let (sender, receiver) = (to != index).then(|| sync_channel(RING))?;
            incoming[to].push((index, receiver));
            Some(Way::new(sender, waker.clone(), Arc::clone(&looks[to])))
        };
        let ways: Vec<_> = wakers.iter().enumerate().map(way).collect();
        connected.push(ways);
    }
    let neighbours =
        connected.into_iter().zip(incoming).zip(looks).map(|((ways, incoming), looks)| Neighbours {
            ways,
            incoming,
            looks,
            turn: 0,
            shipments: Pool::new((RING * shards).min(MOST_BUFFERS)),
            datagrams: Pool::new((RING * shards).min(MOST_BUFFERS)),
            elsewhere: HashMap::new(),
        });
    neighbours.collect()
}

impl Neighbours {
    /// The shard that has the peer at this address, when it is another one.
    pub(super) fn owner_of(&self, address: &SocketAddr) -> Option<usize> {
        self.elsewhere.get(address).copied()
    }

    /// Gathers a datagram for another shard; [`send_gathered`](Self::send_gathered) sends it. `false` when there is no room
    /// or no such shard.
    pub(super) fn hand_over(
        &mut self,
        shard: usize,
        (bytes, urgency): (&[u8], Urgency),
        route: Route,
        received: Option<SystemTime>,
    ) -> bool {
        let Some(way) = self.ways.get_mut(shard).and_then(Option::as_mut) else { return false };
        let Some(gathered) = way.gathering(bytes.len(), &mut self.datagrams) else { return false };
        gathered.push(bytes, route, received);
        way.is_urgent |= urgency == Urgency::Now;
        true
    }

    /// Sends what was gathered, wakes whom it is for, and returns how many datagrams found no room.
    pub(super) fn send_gathered(&mut self) -> usize {
        let lost = self.ways.iter_mut().flatten().map(|way| way.send_gathered(&mut self.datagrams)).sum();
        self.wake();
        lost
    }

    /// An empty shipment, to be filled with [`Arc::get_mut`]; `None` when too many are under way.
    pub(super) fn empty_shipment(&mut self) -> Option<Arc<Shipment>> {
        self.shipments.take()
    }

    /// Sends a shipment. `false` when the ring is full.
    pub(super) fn ship(&mut self, shard: usize, shipment: &Arc<Shipment>) -> bool {
        let Some(way) = self.ways.get_mut(shard).and_then(Option::as_mut) else { return false };
        way.send(Message::Shipment(Arc::clone(shipment)))
    }

    /// Takes a shipment back after it was sent to all.
    pub(super) fn shipped(&mut self, shipment: Arc<Shipment>) {
        self.shipments.put(shipment);
    }

    /// Says something about a room. What only asks for packets or key frames may be lost, because it is said again.
    pub(super) fn say(&mut self, shard: usize, room: RoomId, word: Word) {
        let again = matches!(word, Word::Missing(..) | Word::KeyFrame(_));
        let Some(way) = self.ways.get_mut(shard).and_then(Option::as_mut) else { return };
        match again {
            true => _ = way.send(Message::Word(room, word)),
            false => way.say(Message::Word(room, word)),
        }
    }

    /// Tells all others that an address belongs to a peer of this shard, or does no longer.
    pub(super) fn announce(&mut self, address: SocketAddr, mine: bool) {
        for way in self.ways.iter_mut().flatten() {
            // They look at their rings before they look for an owner. Lost news cost the peer datagrams until its next check is
            // announced again.
            way.send_quietly(if mine { Message::Learnt(address) } else { Message::Forgotten(address) });
        }
        if mine {
            self.elsewhere.remove(&address);
        }
    }

    /// Wakes every shard that got something urgent.
    pub(super) fn wake(&mut self) {
        self.ways.iter_mut().flatten().for_each(Way::wake_if_urgent);
    }

    /// Wakes every shard that has not looked for too long at what was not urgent; returns when to call again.
    pub(super) fn wake_late(&mut self, now: Instant) -> Option<Instant> {
        self.ways.iter_mut().flatten().filter_map(|way| way.wake_late(now)).min()
    }

    /// Whether words wait for room in a ring.
    pub(super) fn has_waiting(&self) -> bool {
        self.ways.iter().flatten().any(Way::has_waiting)
    }

    /// Begins to look at what came: all that was sent before is there.
    pub(super) fn look(&self) {
        self.looks.fetch_add(1, Ordering::Relaxed);
        // Pairs with the one of `Way::wake_late`.
        fence(Ordering::SeqCst);
    }

    /// The next that another shard gave, and which one; news about addresses are kept here.
    pub(super) fn receive(&mut self) -> Option<(usize, Message)> {
        let mut empty = 0;
        while empty < self.incoming.len() {
            let (shard, ring) = &self.incoming[self.turn];
            match ring.try_recv() {
                Ok(Message::Learnt(address)) => _ = self.elsewhere.insert(address, *shard),
                Ok(Message::Forgotten(address)) => {
                    if self.elsewhere.get(&address) == Some(shard) {
                        self.elsewhere.remove(&address);
                    }
                }
                Ok(message) => return Some((*shard, message)),
                Err(_) => {
                    empty += 1;
                    self.turn = (self.turn + 1) % self.incoming.len();
                }
            }
        }
        None
    }
}

/// Messages that wait for one shard from one other at most: half a second of 16 cameras in small batches.
const RING: usize = 256;
/// Buffers of a kind that one shard makes at most, 64 MB: enough to fill every ring of a small machine.
const MOST_BUFFERS: usize = 1024;
#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use latchkey_relay_core::TrackId;

    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn pair() -> (Neighbours, Neighbours) {
        let wakers = [Waker::new().unwrap(), Waker::new().unwrap()];
        let mut shards = connect(&wakers);
        let second = shards.pop().unwrap();
        (shards.pop().unwrap(), second)
    }

    fn datagrams(shard: &mut Neighbours) -> Vec<Vec<u8>> {
        let mut got = Vec::new();
        while let Some((_, message)) = shard.receive() {
            let Message::Datagrams(datagrams) = message else { panic!("datagrams") };
            got.extend(datagrams.iter().map(|(bytes, ..)| bytes.to_vec()));
        }
        got
    }

    #[test]
    fn datagrams_reach_the_shard_that_announced_their_address() {
        let (mut first, mut second) = pair();
        assert_eq!(first.owner_of(&address(1)), None);
        second.announce(address(1), true);
        assert!(first.receive().is_none(), "news are no datagrams");
        assert_eq!(first.owner_of(&address(1)), Some(1));
        let route = Route { remote: address(1), local: None };
        assert!(first.hand_over(1, (b"hello", Urgency::Now), route, None));
        assert!(first.hand_over(1, (b"again", Urgency::Now), route, None));
        assert!(!first.hand_over(0, (b"to itself", Urgency::Now), route, None));
        assert!(!first.hand_over(7, (b"to nobody", Urgency::Now), route, None));
        assert_eq!(first.send_gathered(), 0);
        assert_eq!(datagrams(&mut second), [b"hello", b"again"]);
        second.announce(address(1), false);
        first.receive();
        assert_eq!(first.owner_of(&address(1)), None);
    }

    #[test]
    fn a_full_ring_refuses_packets_and_keeps_words() {
        let (mut first, mut second) = pair();
        let route = Route { remote: address(1), local: None };
        let mut lost = 0;
        for _ in 0..RING + 10 {
            assert!(first.hand_over(1, (b"x", Urgency::Now), route, None));
            lost += first.send_gathered();
        }
        assert_eq!(lost, 10);
        let room = RoomId::new([1; 16]);
        first.say(1, room, Word::Vacated);
        first.say(1, room, Word::KeyFrame(TrackId(0)));
        assert!(first.has_waiting());
        assert!(
            !first.hand_over(1, (b"x", Urgency::Now), route, None) || first.send_gathered() == 1,
            "none overtakes a word"
        );
        assert_eq!((0..RING).filter_map(|_| second.receive()).count(), RING);
        assert!(second.receive().is_none());
        first.wake();
        assert!(matches!(second.receive(), Some((0, Message::Word(_, Word::Vacated)))));
        assert!(second.receive().is_none());
    }
}
