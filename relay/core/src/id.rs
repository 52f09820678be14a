//! Names that a room and its shell have in common: of a track, of a simulcast layer, and of a viewer.

/// Names a track within its room, from 0; given by the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackId(pub u8);

/// Names a viewer; chosen by the shell, which gets it back with every packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriberId(pub u64);

/// Names a simulcast layer within its m-line (RFC 8851), kept inline.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rid {
    bytes: [u8; Rid::MAX_LEN],
    len: u8,
}

impl Rid {
    /// Longest name in bytes: what an element of the one-byte form holds (RFC 8285 4.2).
    pub const MAX_LEN: usize = 16;

    /// Returns the name, or `None` when it is empty, too long, or has a character that RFC 8851 section 10 does not allow.
    pub fn new(rid: &str) -> Option<Self> {
        let len =
            u8::try_from(rid.len()).ok().filter(|&len| (1..=Self::MAX_LEN).contains(&usize::from(len)))?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !rid.bytes().all(allowed) {
            return None;
        }
        let mut bytes = [0; Self::MAX_LEN];
        bytes[..rid.len()].copy_from_slice(rid.as_bytes());
        Some(Self { bytes, len })
    }

    /// The name as the header extension has it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The name as SDP has it.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl std::fmt::Debug for Rid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rid_is_short_and_plain() {
        for bad in ["", "0123456789abcdefg", "a b", "h;l", "ü"] {
            assert!(Rid::new(bad).is_none(), "{bad}");
        }
        assert_eq!(Rid::new("h-1_x").unwrap().as_str(), "h-1_x");
    }
}
