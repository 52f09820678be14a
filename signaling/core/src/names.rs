//! Turns names that signaling knows into the opaque ones that a relay sees.

use latchkey_api::id::{DeviceId, HouseholdId};
use latchkey_wire::id::{DeviceHandle, RoomId};
use sha2::{Digest as _, Sha256};

/// The room of a camera: the first 16 bytes of SHA-256("latchkey room v1" || household || camera).
///
/// The household is part of it, so that another household which lists the same device id meets another room.
#[must_use]
pub fn room_of(household: &HouseholdId, camera: &DeviceId) -> RoomId {
    RoomId::from(derive(b"latchkey room v1", household, camera))
}

/// The handle of a device: the first 16 bytes of SHA-256("latchkey handle v1" || household || device).
#[must_use]
pub fn handle_of(household: &HouseholdId, device: &DeviceId) -> DeviceHandle {
    DeviceHandle::from(derive(b"latchkey handle v1", household, device))
}

fn derive(label: &[u8], household: &HouseholdId, device: &DeviceId) -> [u8; 16] {
    let digest = Sha256::new().chain_update(label).chain_update(household).chain_update(device).finalize();
    let mut name = [0; 16];
    name.copy_from_slice(&digest[..16]);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_per_purpose_household_and_device() {
        let (one, two) = (HouseholdId([1; 16]), HouseholdId([2; 16]));
        let (a, b) = (DeviceId([3; 16]), DeviceId([4; 16]));
        assert_ne!(room_of(&one, &a), room_of(&two, &a));
        assert_ne!(room_of(&one, &a), room_of(&one, &b));
        assert_ne!(room_of(&one, &a).as_bytes(), handle_of(&one, &a).as_bytes());
        let digest = Sha256::digest([b"latchkey room v1".as_slice(), &[1; 16], &[3; 16]].concat());
        assert_eq!(room_of(&one, &a).as_bytes(), &digest[..16]);
    }
}
