//! The event sockets that are open now, and how to reach them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use latchkey_api::event::Event;
use latchkey_api::id::{DeviceId, HouseholdId};
use tokio::sync::mpsc;

/// Open sockets by device. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Bus {
    sockets: Arc<DashMap<Address, Vec<Socket>>>,
    next: Arc<AtomicU64>,
}

type Address = (HouseholdId, DeviceId);

struct Socket {
    number: u64,
    outbox: mpsc::Sender<Event>,
}

impl Bus {
    /// Opens a socket's inbox. Of too many sockets of one device the oldest is closed.
    pub(crate) fn subscribe(&self, household: HouseholdId, device: DeviceId) -> Subscription {
        let (outbox, inbox) = mpsc::channel(INBOX);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let address = (household, device);
        let mut sockets = self.sockets.entry(address).or_default();
        if sockets.len() >= SOCKETS_PER_DEVICE {
            sockets.remove(0);
        }
        sockets.push(Socket { number, outbox });
        drop(sockets);
        Subscription { bus: self.clone(), address, number, inbox }
    }

    /// Sends an event to every socket of the device. A socket that does not keep up is closed: its client comes back
    /// and reads what it missed.
    pub(crate) fn tell(&self, household: HouseholdId, device: DeviceId, event: &Event) {
        if let Some(mut sockets) = self.sockets.get_mut(&(household, device)) {
            sockets.retain(|socket| socket.outbox.try_send(event.clone()).is_ok());
        }
    }

    /// Sends `removed` to every socket of the device and closes them.
    pub(crate) fn dismiss(&self, household: HouseholdId, device: DeviceId) {
        if let Some((_, sockets)) = self.sockets.remove(&(household, device)) {
            for socket in sockets {
                let _ = socket.outbox.try_send(Event::Removed);
            }
        }
    }

    /// Whether the device has an open socket.
    pub(crate) fn is_connected(&self, household: HouseholdId, device: DeviceId) -> bool {
        self.sockets.get(&(household, device)).is_some_and(|sockets| !sockets.is_empty())
    }

    /// How many sockets are open.
    pub(crate) fn len(&self) -> usize {
        self.sockets.iter().map(|sockets| sockets.len()).sum()
    }
}

/// The inbox of one socket; closes when dropped.
pub(crate) struct Subscription {
    bus: Bus,
    address: Address,
    number: u64,
    inbox: mpsc::Receiver<Event>,
}

impl Subscription {
    /// The next event; `None` when the server closed the socket.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        self.inbox.recv().await
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(mut sockets) = self.bus.sockets.get_mut(&self.address) {
            sockets.retain(|socket| socket.number != self.number);
        }
        self.bus.sockets.remove_if(&self.address, |_, sockets| sockets.is_empty());
    }
}

const INBOX: usize = 64;
const SOCKETS_PER_DEVICE: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: HouseholdId = HouseholdId([1; 16]);
    const PHONE: DeviceId = DeviceId([2; 16]);

    #[tokio::test]
    async fn every_socket_of_the_device_hears_and_no_other() {
        let bus = Bus::default();
        let (mut one, mut two) = (bus.subscribe(HOME, PHONE), bus.subscribe(HOME, PHONE));
        let mut other = bus.subscribe(HOME, DeviceId([3; 16]));
        bus.tell(HOME, PHONE, &Event::List { version: 2 });
        assert_eq!(one.next().await, Some(Event::List { version: 2 }));
        assert_eq!(two.next().await, Some(Event::List { version: 2 }));
        bus.tell(HOME, DeviceId([3; 16]), &Event::List { version: 3 });
        assert_eq!(other.next().await, Some(Event::List { version: 3 }));
        drop(one);
        assert!(bus.is_connected(HOME, PHONE));
        drop(two);
        assert!(!bus.is_connected(HOME, PHONE));
        assert_eq!(bus.len(), 1);
    }

    #[tokio::test]
    async fn a_dismissed_socket_hears_so_and_ends() {
        let bus = Bus::default();
        let mut socket = bus.subscribe(HOME, PHONE);
        bus.dismiss(HOME, PHONE);
        assert_eq!(socket.next().await, Some(Event::Removed));
        assert_eq!(socket.next().await, None);
        assert!(!bus.is_connected(HOME, PHONE));
    }

    #[tokio::test]
    async fn who_does_not_keep_up_is_closed_after_what_it_was_sent() {
        let bus = Bus::default();
        let mut socket = bus.subscribe(HOME, PHONE);
        for version in 0..=INBOX as u64 {
            bus.tell(HOME, PHONE, &Event::List { version });
        }
        let mut heard = 0;
        while socket.next().await.is_some() {
            heard += 1;
        }
        assert_eq!(heard, INBOX);
    }

    #[tokio::test]
    async fn the_oldest_of_too_many_gives_way() {
        let bus = Bus::default();
        let mut sockets: Vec<_> = (0..=SOCKETS_PER_DEVICE).map(|_| bus.subscribe(HOME, PHONE)).collect();
        assert_eq!(sockets[0].next().await, None);
        assert_eq!(bus.len(), SOCKETS_PER_DEVICE);
    }
}
