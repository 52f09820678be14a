//! Which extensions exist for us, their URIs, and the ids one leg gave them.

/// A header extension that the relay or our clients read or write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ExtensionKind {
    /// Media identification (RFC 9143).
    Mid,
    /// RTP stream id of a simulcast layer (RFC 8852).
    Rid,
    /// RTP stream id that an RTX stream repairs (RFC 8852).
    RepairedRid,
    /// Capture time of the frame in the sender's NTP clock.
    AbsCaptureTime,
    /// Send time, 24 bits of 6.18 fixed point seconds.
    AbsSendTime,
    /// Transport-wide sequence number for congestion control.
    TransportCc,
    /// Dependency Descriptor of the AV1 RTP specification, used with every video codec.
    DependencyDescriptor,
    /// Smallest and largest playout delay the receiver should keep.
    PlayoutDelay,
}

impl ExtensionKind {
    /// Every kind, in the order of its discriminant.
    pub const ALL: [Self; 8] = [
        Self::Mid,
        Self::Rid,
        Self::RepairedRid,
        Self::AbsCaptureTime,
        Self::AbsSendTime,
        Self::TransportCc,
        Self::DependencyDescriptor,
        Self::PlayoutDelay,
    ];

    /// Returns the URI as `a=extmap` names it.
    #[must_use]
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Self::Rid => "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            Self::RepairedRid => "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            Self::AbsCaptureTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
            Self::AbsSendTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            Self::TransportCc => "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
            Self::DependencyDescriptor => {
                "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
            }
            Self::PlayoutDelay => "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
        }
    }

    /// Returns the kind with this URI; `None` for one that is not ours to read.
    #[must_use]
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.uri() == uri)
    }
}

/// The ids that one m-line of one leg gave to the kinds it negotiated. Sixteen bytes at most, copied freely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExtensionMap {
    ids: [u8; ExtensionKind::ALL.len()],
}

/// The id is 0 or 15 (reserved), or already names another kind. The fault is in the peer's SDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("extension id {0} is reserved or taken")]
pub struct IdTaken(pub u8);

impl ExtensionMap {
    /// Returns a map without any extension.
    #[must_use]
    pub const fn new() -> Self {
        Self { ids: [0; ExtensionKind::ALL.len()] }
    }

    /// Gives a kind its id, 1 to 14 or 16 to 255; a kind named again changes its id.
    ///
    /// # Errors
    /// [`IdTaken`] when the id is reserved or another kind's; the map is then unchanged.
    pub fn insert(&mut self, kind: ExtensionKind, id: u8) -> Result<(), IdTaken> {
        let taken = self.kind(id).is_some_and(|other| other != kind);
        if id == 0 || id == 15 || taken {
            return Err(IdTaken(id));
        }
        self.ids[kind as usize] = id;
        Ok(())
    }

    /// Takes a kind out.
    pub fn remove(&mut self, kind: ExtensionKind) {
        self.ids[kind as usize] = 0;
    }

    /// Returns the id of a kind, or `None` when it was not negotiated.
    #[must_use]
    pub const fn id(&self, kind: ExtensionKind) -> Option<u8> {
        match self.ids[kind as usize] {
            0 => None,
            id => Some(id),
        }
    }

    /// Returns the kind of an id, or `None` when nothing negotiated has it.
    #[must_use]
    pub fn kind(&self, id: u8) -> Option<ExtensionKind> {
        self.iter().find_map(|(kind, known)| (known == id).then_some(kind))
    }

    /// Returns the negotiated kinds with their ids, in the order of [`ExtensionKind::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (ExtensionKind, u8)> + '_ {
        ExtensionKind::ALL.into_iter().filter_map(|kind| self.id(kind).map(|id| (kind, id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_and_ids_come_back() {
        let mut map = ExtensionMap::new();
        for (index, kind) in ExtensionKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
            assert_eq!(ExtensionKind::from_uri(kind.uri()), Some(kind));
            map.insert(kind, index as u8 + 1).unwrap();
        }
        for (kind, id) in map.iter() {
            assert_eq!(map.kind(id), Some(kind));
        }
        assert_eq!(map.kind(0), None);
        assert_eq!(ExtensionKind::from_uri("urn:ietf:params:rtp-hdrext:ssrc-audio-level"), None);
    }

    #[test]
    fn one_id_names_one_kind() {
        let mut map = ExtensionMap::new();
        map.insert(ExtensionKind::Mid, 1).unwrap();
        assert_eq!(map.insert(ExtensionKind::Rid, 1), Err(IdTaken(1)));
        assert_eq!(map.insert(ExtensionKind::Rid, 15), Err(IdTaken(15)));
        map.insert(ExtensionKind::Mid, 2).unwrap();
        map.insert(ExtensionKind::Rid, 1).unwrap();
        map.remove(ExtensionKind::Mid);
        assert_eq!(map.id(ExtensionKind::Mid), None);
        assert_eq!(map.iter().collect::<Vec<_>>(), [(ExtensionKind::Rid, 1)]);
    }
}
