//! How packets are told apart when they are counted, and the metric labels of that.

/// Which way a packet went, seen from the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From a peer to the relay.
    In,
    /// From the relay to a peer.
    Out,
}

impl Direction {
    /// Both directions.
    pub const ALL: [Self; 2] = [Self::In, Self::Out];

    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

/// What a packet carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    /// RTP of a video track, RTX included.
    Video,
    /// RTP of an audio track.
    Audio,
    /// RTCP.
    Rtcp,
    /// STUN and DTLS.
    Transport,
}

impl PacketKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Video, Self::Audio, Self::Rtcp, Self::Transport];

    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Rtcp => "rtcp",
            Self::Transport => "transport",
        }
    }
}

/// Why an inbound packet went no further. Labels as in `relay_packets_dropped_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// A bounded queue of ours, or the socket's send buffer, was full.
    QueueFull,
    /// Not a packet of the protocol that its first byte names.
    Malformed,
    /// Integrity check, authentication tag or handshake failed.
    Auth,
    /// From an address without a session, or naming a session that does not exist.
    UnknownPeer,
    /// The peer sends more than it may.
    RateLimit,
    /// Authentic, but seen before or too old.
    Replay,
    /// Authentic, but not allowed: unknown SSRC, media of a viewer, unsealed media, an unnegotiated payload type.
    Policy,
}

impl DropReason {
    /// All reasons.
    pub const ALL: [Self; 7] = [
        Self::QueueFull,
        Self::Malformed,
        Self::Auth,
        Self::UnknownPeer,
        Self::RateLimit,
        Self::Replay,
        Self::Policy,
    ];

    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Malformed => "malformed",
            Self::Auth => "auth",
            Self::UnknownPeer => "unknown_peer",
            Self::RateLimit => "rate_limit",
            Self::Replay => "replay",
            Self::Policy => "policy",
        }
    }
}

/// What somebody sent too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// RTP packets of a publisher.
    MediaPackets,
    /// RTP bytes of a publisher.
    MediaBytes,
    /// STUN, DTLS or RTCP packets.
    ControlPackets,
    /// Bytes of them.
    ControlBytes,
}

impl Limited {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::MediaPackets, Self::MediaBytes, Self::ControlPackets, Self::ControlBytes];

    /// The metric labels: what was sent, and which limit it reached.
    pub fn labels(self) -> (&'static str, &'static str) {
        match self {
            Self::MediaPackets => ("media", "packets"),
            Self::MediaBytes => ("media", "bytes"),
            Self::ControlPackets => ("control", "packets"),
            Self::ControlBytes => ("control", "bytes"),
        }
    }
}
