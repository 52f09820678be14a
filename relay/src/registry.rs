//! Which shard has which room. Asked when somebody joins or leaves, never on the packet path.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use latchkey_wire::id::RoomId;

/// The rooms with at least one session, each on one shard. Cheap to clone; all clones are one registry.
#[derive(Clone)]
pub(crate) struct Registry(Arc<Inner>);

struct Inner {
    rooms: DashMap<RoomId, Place>,
    /// Rooms on each shard.
    load: Vec<AtomicUsize>,
}

struct Place {
    shard: usize,
    sessions: usize,
}

/// Keeps a room on its shard; the room is forgotten with its last lease.
#[must_use]
pub(crate) struct RoomLease {
    room: RoomId,
    shard: usize,
    registry: Registry,
}

impl Registry {
    /// An empty registry for this many shards, at least one.
    pub(crate) fn new(shards: usize) -> Self {
        let load = (0..shards.max(1)).map(|_| AtomicUsize::new(0)).collect();
        Self(Arc::new(Inner { rooms: DashMap::new(), load }))
    }

    /// The shard of a room that somebody is in, or `None`.
    pub(crate) fn shard_of(&self, room: RoomId) -> Option<usize> {
        self.0.rooms.get(&room).map(|place| place.shard)
    }

    /// Leases a room: where it is already, else on the shard with the fewest rooms.
    pub(crate) fn lease(&self, room: RoomId) -> RoomLease {
        let shard = match self.0.rooms.entry(room) {
            Entry::Occupied(mut place) => {
                place.get_mut().sessions += 1;
                place.get().shard
            }
            Entry::Vacant(vacant) => {
                let shard = self.least_loaded();
                self.0.load[shard].fetch_add(1, Ordering::Relaxed);
                vacant.insert(Place { shard, sessions: 1 });
                shard
            }
        };
        RoomLease { room, shard, registry: self.clone() }
    }

    fn least_loaded(&self) -> usize {
        let loads = self.0.load.iter().map(|load| load.load(Ordering::Relaxed));
        loads.enumerate().min_by_key(|(_, load)| *load).map_or(0, |(shard, _)| shard)
    }
}

impl RoomLease {
    /// Index of the room's shard.
    pub(crate) fn shard(&self) -> usize {
        self.shard
    }
}

impl Drop for RoomLease {
    fn drop(&mut self) {
        if let Entry::Occupied(mut place) = self.registry.0.rooms.entry(self.room) {
            place.get_mut().sessions -= 1;
            if place.get().sessions == 0 {
                place.remove();
                self.registry.0.load[self.shard].fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

impl fmt::Debug for RoomLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoomLease")
            .field("room", &self.room)
            .field("shard", &self.shard)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_stays_on_its_shard_until_its_last_session_leaves() {
        let registry = Registry::new(3);
        let room = RoomId::new([1; 16]);
        assert_eq!(registry.shard_of(room), None);
        let first = registry.lease(room);
        let second = registry.lease(room);
        assert_eq!(first.shard(), second.shard());
        drop(first);
        assert_eq!(registry.shard_of(room), Some(second.shard()));
        drop(second);
        assert_eq!(registry.shard_of(room), None);
        assert!(registry.0.load.iter().all(|load| load.load(Ordering::Relaxed) == 0));
    }

    #[test]
    fn rooms_spread_over_the_shards() {
        let registry = Registry::new(4);
        let leases: Vec<_> = (0..8).map(|n| registry.lease(RoomId::new([n; 16]))).collect();
        let mut rooms = [0; 4];
        leases.iter().for_each(|lease| rooms[lease.shard()] += 1);
        assert_eq!(rooms, [2; 4]);
    }
}
