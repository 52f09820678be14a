//! Names that a room and its shell have in common: of a track, and of a viewer.

/// Names a track within its room, from 0; given by the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackId(pub u8);

/// Names a viewer; chosen by the shell, which gets it back with every packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriberId(pub u64);
