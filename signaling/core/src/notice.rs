//! Whom to tell what after a request. The shell tells at once, then cuts all together, and dismisses last.

use latchkey_api::event::Event;
use latchkey_api::id::{DeviceId, HouseholdId};
use latchkey_wire::id::{DeviceHandle, RoomId};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Send an event to the device's sockets.
    Tell {
        /// The device.
        device: DeviceId,
        /// What to say.
        event: Event,
    },
    /// Send `removed` to the device's sockets and close them.
    Dismiss {
        /// The device.
        device: DeviceId,
    },
    /// End the device's legs in a room of the relay.
    Cut {
        /// The room.
        room: RoomId,
        /// The device, as the relay knows it.
        device: DeviceHandle,
    },
}

/// A request that was done: what to answer, and whom to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done<T> {
    /// The answer.
    pub reply: T,
    /// The household whose devices the notices name.
    pub household: HouseholdId,
    /// What to do besides.
    pub notices: Vec<Notice>,
}
