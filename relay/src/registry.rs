//! Which shards have which room: its home has the publisher, others may have viewers of it. Asked when somebody joins or
//! leaves, never on the packet path.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use latchkey_wire::id::RoomId;

use crate::shard::command::join::Role;

/// The rooms with at least one session. Cheap to clone; all clones are one registry.
#[derive(Clone)]
pub(crate) struct Registry(Arc<Inner>);

struct Inner {
    rooms: DashMap<RoomId, Place>,
    shards: Vec<Load>,
}

/// What a shard has to do.
#[derive(Default)]
struct Load {
    /// Rooms at home there.
    rooms: AtomicUsize,
    viewers: AtomicUsize,
}

struct Place {
    home: usize,
    sessions: usize,
    /// Viewers on each shard.
    viewers: Vec<usize>,
}

/// Keeps a room at its home, and a session on its shard; the room is forgotten with its last lease.
#[must_use]
pub(crate) struct RoomLease {
    room: RoomId,
    role: Role,
    home: usize,
    shard: usize,
    registry: Registry,
}

impl Registry {
    /// An empty registry for this many shards, at least one.
    pub(crate) fn new(shards: usize) -> Self {
        let shards = (0..shards.max(1)).map(|_| Load::default()).collect();
        Self(Arc::new(Inner { rooms: DashMap::new(), shards }))
    }

    /// The home of a room that somebody is in, or `None`.
    pub(crate) fn shard_of(&self, room: RoomId) -> Option<usize> {
        self.0.rooms.get(&room).map(|place| place.home)
    }

    /// Leases a room. Its home is where it is already, else the shard with the fewest rooms. A viewer goes to the shard that
    /// has least to do for viewers; one that has none of this room yet counts as busier by [`BRANCH_COSTS`].
    pub(crate) fn lease(&self, room: RoomId, role: Role) -> RoomLease {
        let shards = &self.0.shards;
        let mut place = self.0.rooms.entry(room).or_insert_with(|| {
            let home = least(shards.len(), |shard| shards[shard].rooms.load(Ordering::Relaxed));
            shards[home].rooms.fetch_add(1, Ordering::Relaxed);
            Place { home, sessions: 0, viewers: vec![0; shards.len()] }
        });
        place.sessions += 1;
        let home = place.home;
        let shard = match role {
            Role::Publish => home,
            Role::View => least(shards.len(), |shard| {
                let opens = shard != home && place.viewers[shard] == 0;
                let costs = shards[shard].viewers.load(Ordering::Relaxed) + usize::from(opens) * BRANCH_COSTS;
                // Where it costs the same, the home has the shorter way.
                (costs, shard != home)
            }),
        };
        if role == Role::View {
            place.viewers[shard] += 1;
            shards[shard].viewers.fetch_add(1, Ordering::Relaxed);
        }
        RoomLease { room, role, home, shard, registry: self.clone() }
    }
}

fn least<K: Ord>(shards: usize, cost: impl Fn(usize) -> K) -> usize {
    (0..shards).min_by_key(|shard| cost(*shard)).unwrap_or(0)
}

/// What handing a room's packets to one more shard costs, in viewers: about as many trains as the wake-up is worth.
const BRANCH_COSTS: usize = 8;

impl RoomLease {
    /// Index of the shard that has the room's publisher.
    pub(crate) fn home(&self) -> usize {
        self.home
    }

    /// Index of the session's shard.
    pub(crate) fn shard(&self) -> usize {
        self.shard
    }
}

impl Drop for RoomLease {
    fn drop(&mut self) {
        let shards = &self.registry.0.shards;
        if let Entry::Occupied(mut occupied) = self.registry.0.rooms.entry(self.room) {
            let place = occupied.get_mut();
            if self.role == Role::View {
                place.viewers[self.shard] -= 1;
                shards[self.shard].viewers.fetch_sub(1, Ordering::Relaxed);
            }
            place.sessions -= 1;
            if place.sessions == 0 {
                occupied.remove();
                shards[self.home].rooms.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

impl fmt::Debug for RoomLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoomLease")
            .field("room", &self.room)
            .field("home", &self.home)
            .field("shard", &self.shard)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn viewers(registry: &Registry) -> Vec<usize> {
        registry.0.shards.iter().map(|load| load.viewers.load(Ordering::Relaxed)).collect()
    }

    #[test]
    fn a_room_stays_at_its_home_until_its_last_session_leaves() {
        let registry = Registry::new(3);
        let room = RoomId::new([1; 16]);
        assert_eq!(registry.shard_of(room), None);
        let first = registry.lease(room, Role::Publish);
        let second = registry.lease(room, Role::View);
        assert_eq!((first.shard(), second.home()), (first.home(), first.home()));
        drop(first);
        assert_eq!(registry.shard_of(room), Some(second.home()));
        drop(second);
        assert_eq!(registry.shard_of(room), None);
        assert!(registry.0.shards.iter().all(|load| load.rooms.load(Ordering::Relaxed) == 0));
        assert_eq!(viewers(&registry), [0; 3]);
    }

    #[test]
    fn rooms_spread_over_the_shards() {
        let registry = Registry::new(4);
        let leases: Vec<_> = (0..8).map(|n| registry.lease(RoomId::new([n; 16]), Role::Publish)).collect();
        let mut rooms = [0; 4];
        leases.iter().for_each(|lease| rooms[lease.shard()] += 1);
        assert_eq!(rooms, [2; 4]);
    }

    #[test]
    fn viewers_of_one_camera_use_every_shard_and_few_stay_together() {
        let registry = Registry::new(2);
        let camera = registry.lease(RoomId::new([1; 16]), Role::Publish);
        let mut leases: Vec<_> =
            (0..BRANCH_COSTS).map(|_| registry.lease(RoomId::new([1; 16]), Role::View)).collect();
        assert!(leases.iter().all(|lease| lease.shard() == camera.home()), "few stay at home");
        leases.extend((0..92).map(|_| registry.lease(RoomId::new([1; 16]), Role::View)));
        assert_eq!(viewers(&registry), [50, 50]);
        // Of another camera at home on the second shard.
        let other = registry.lease(RoomId::new([2; 16]), Role::Publish);
        assert_ne!(other.home(), camera.home());
        let few = [0; 4].map(|_| registry.lease(RoomId::new([2; 16]), Role::View));
        assert!(few.iter().all(|lease| lease.shard() == other.home()));
    }

    #[test]
    fn one_shard_has_everything() {
        let registry = Registry::new(1);
        let leases: Vec<_> = (0..20).map(|_| registry.lease(RoomId::new([1; 16]), Role::View)).collect();
        assert!(leases.iter().all(|lease| (lease.home(), lease.shard()) == (0, 0)));
    }
}
