//! How many are inside: sessions in all, of each device, viewers of each room, and rooms. A place is held by a ticket.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use latchkey_wire::id::{DeviceHandle, RoomId};

use crate::config::RelayConfig;
use crate::shard::command::join::Role;

/// How many may be inside at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CrowdLimits {
    pub(crate) rooms: usize,
    pub(crate) sessions: usize,
    pub(crate) viewers_per_room: usize,
    pub(crate) sessions_per_device: usize,
}

/// Who is inside now. Cheap to clone; all clones count together.
#[derive(Clone, Debug)]
pub(crate) struct Crowd {
    limits: CrowdLimits,
    inside: Arc<Mutex<Inside>>,
}

#[derive(Debug, Default)]
struct Inside {
    sessions: usize,
    by_device: HashMap<DeviceHandle, usize>,
    by_room: HashMap<RoomId, InRoom>,
}

#[derive(Clone, Copy, Debug, Default)]
struct InRoom {
    sessions: usize,
    viewers: usize,
}

/// A place inside; dropping it gives the place back.
#[derive(Debug)]
#[must_use]
pub(crate) struct Ticket {
    room: RoomId,
    device: DeviceHandle,
    role: Role,
    inside: Arc<Mutex<Inside>>,
}

/// Which limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CrowdError {
    /// The relay's limit.
    #[error("the relay has as many rooms as it may have")]
    Rooms,
    /// The relay's limit.
    #[error("the relay has as many sessions as it may have")]
    Sessions,
    /// The room's limit.
    #[error("the room has as many viewers as it may have")]
    Viewers,
    /// The device's own limit.
    #[error("this device has as many sessions as one device may have")]
    Device,
}

impl From<&RelayConfig> for CrowdLimits {
    fn from(config: &RelayConfig) -> Self {
        Self {
            rooms: config.max_rooms,
            sessions: config.max_sessions,
            viewers_per_room: config.max_viewers_per_room,
            sessions_per_device: config.max_sessions_per_device,
        }
    }
}

impl Crowd {
    pub(crate) fn new(limits: CrowdLimits) -> Self {
        Self { limits, inside: Arc::default() }
    }

    /// Takes a place for one session.
    pub(crate) fn enter(&self, room: RoomId, device: DeviceHandle, role: Role) -> Result<Ticket, CrowdError> {
        let mut inside = lock(&self.inside);
        let here = inside.by_room.get(&room).copied();
        if here.is_none() && inside.by_room.len() >= self.limits.rooms {
            return Err(CrowdError::Rooms);
        }
        if inside.sessions >= self.limits.sessions {
            return Err(CrowdError::Sessions);
        }
        if role == Role::View && here.unwrap_or_default().viewers >= self.limits.viewers_per_room {
            return Err(CrowdError::Viewers);
        }
        if inside.by_device.get(&device).copied().unwrap_or(0) >= self.limits.sessions_per_device {
            return Err(CrowdError::Device);
        }
        inside.sessions += 1;
        *inside.by_device.entry(device).or_default() += 1;
        let here = inside.by_room.entry(room).or_default();
        here.sessions += 1;
        here.viewers += usize::from(role == Role::View);
        Ok(Ticket { room, device, role, inside: Arc::clone(&self.inside) })
    }

    /// Sessions inside now.
    pub(crate) fn sessions(&self) -> usize {
        lock(&self.inside).sessions
    }

    /// Sessions and rooms as shares of their limits, whichever is larger: 1 when nobody more comes in.
    pub(crate) fn fullness(&self) -> f64 {
        let inside = lock(&self.inside);
        let share = |now: usize, limit: usize| now as f64 / limit.max(1) as f64;
        share(inside.sessions, self.limits.sessions)
            .max(share(inside.by_room.len(), self.limits.rooms))
            .min(1.0)
    }

    /// Viewers of a room now.
    pub(crate) fn viewers(&self, room: RoomId) -> usize {
        lock(&self.inside).by_room.get(&room).map_or(0, |room| room.viewers)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut inside = lock(&self.inside);
        inside.sessions -= 1;
        take_one(&mut inside.by_device, self.device, |count| {
            *count -= 1;
            *count == 0
        });
        let viewer = usize::from(self.role == Role::View);
        take_one(&mut inside.by_room, self.room, |room| {
            room.sessions -= 1;
            room.viewers -= viewer;
            room.sessions == 0
        });
    }
}

/// Changes an entry and removes it when `empty` says so.
fn take_one<K: Eq + Hash, V>(map: &mut HashMap<K, V>, key: K, empty: impl FnOnce(&mut V) -> bool) {
    if let Entry::Occupied(mut entry) = map.entry(key)
        && empty(entry.get_mut())
    {
        entry.remove();
    }
}

/// The numbers hold after every statement, so a panic elsewhere while they were locked spoils nothing.
fn lock(inside: &Mutex<Inside>) -> MutexGuard<'_, Inside> {
    inside.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(n: u8) -> RoomId {
        RoomId::new([n; 16])
    }

    fn device(n: u8) -> DeviceHandle {
        DeviceHandle::new([n; 16])
    }

    #[test]
    fn each_limit_holds_and_leaving_makes_room() {
        let crowd =
            Crowd::new(CrowdLimits { rooms: 2, sessions: 4, viewers_per_room: 2, sessions_per_device: 2 });
        let publisher = crowd.enter(room(1), device(1), Role::Publish).unwrap();
        let first = crowd.enter(room(1), device(2), Role::View).unwrap();
        let second = crowd.enter(room(1), device(2), Role::View).unwrap();
        assert_eq!(crowd.enter(room(1), device(3), Role::View).unwrap_err(), CrowdError::Viewers);
        assert_eq!(crowd.enter(room(2), device(2), Role::View).unwrap_err(), CrowdError::Device);
        let other = crowd.enter(room(2), device(3), Role::Publish).unwrap();
        assert_eq!(crowd.enter(room(2), device(4), Role::View).unwrap_err(), CrowdError::Sessions);
        drop(first);
        assert_eq!(crowd.enter(room(3), device(4), Role::View).unwrap_err(), CrowdError::Rooms);
        assert_eq!((crowd.viewers(room(1)), crowd.viewers(room(2))), (1, 0));
        assert_eq!(crowd.fullness(), 1.0, "two rooms of two");
        drop((publisher, second, other));
        assert_eq!((crowd.sessions(), crowd.fullness()), (0, 0.0));
        let inside = lock(&crowd.inside);
        assert!(inside.by_device.is_empty() && inside.by_room.is_empty(), "nothing is left behind");
    }
}
