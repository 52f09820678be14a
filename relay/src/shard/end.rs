//! How a session ends: why, and what its publisher or viewer may learn about it.

use crate::shard::session_id::SessionId;

/// That a session ended, told once through [`ShardsConfig::ends`](crate::shard::ShardsConfig::ends).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionEnd {
    /// Which session.
    pub session: SessionId,
    /// Why.
    pub reason: EndReason,
    /// What exactly, where the reason alone leaves it open.
    pub detail: Option<String>,
}

/// Why a session ended. Also the `reason` label of `relay_session_end_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum EndReason {
    /// HTTP `DELETE`.
    #[error("the client left")]
    Left,
    /// DTLS `close_notify`.
    #[error("the client closed the connection")]
    PeerClosed,
    /// No authenticated STUN check within the time for the first one.
    #[error("no authenticated connectivity check arrived")]
    IceFailed,
    /// Checks arrived once and then stopped (RFC 7675).
    #[error("connectivity checks stopped arriving")]
    ConsentExpired,
    /// DTLS gave up, or agreed on no SRTP profile.
    #[error("the DTLS handshake failed")]
    DtlsFailed,
    /// The certificate is not the one that the offer named.
    #[error("the DTLS certificate is not the one named in the offer")]
    FingerprintMismatch,
    /// The media is not end-to-end encrypted as this relay demands.
    #[error("the media is not end-to-end encrypted: frames are not shaped as an envelope and an SFrame")]
    NotSealed,
    /// The device was cut off by an operator.
    #[error("the device was cut off")]
    CutOff,
    /// The grant's session time is over.
    #[error("the granted session time is over")]
    Expired,
    /// The same device published anew.
    #[error("the same device published anew")]
    Replaced,
    /// The publisher came back with other media than this viewer negotiated.
    #[error("the publisher came back with other media")]
    MediaChanged,
    /// The publisher has been gone for too long.
    #[error("the publisher is gone")]
    PublisherGone,
    /// A fault of the relay's own concerned this session; the log has it.
    #[error("the relay failed")]
    Fault,
    /// The relay stops.
    #[error("the relay stops")]
    Shutdown,
}

impl EndReason {
    /// All reasons, in the order of their counters.
    pub const ALL: [EndReason; 14] = [
        Self::Left,
        Self::PeerClosed,
        Self::IceFailed,
        Self::ConsentExpired,
        Self::DtlsFailed,
        Self::FingerprintMismatch,
        Self::NotSealed,
        Self::CutOff,
        Self::Expired,
        Self::Replaced,
        Self::MediaChanged,
        Self::PublisherGone,
        Self::Fault,
        Self::Shutdown,
    ];

    /// The metric label and problem code part, in snake case.
    pub fn label(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::PeerClosed => "peer_closed",
            Self::IceFailed => "ice_failed",
            Self::ConsentExpired => "consent_expired",
            Self::DtlsFailed => "dtls_failed",
            Self::FingerprintMismatch => "fingerprint_mismatch",
            Self::NotSealed => "not_sealed",
            Self::CutOff => "cut_off",
            Self::Expired => "expired",
            Self::Replaced => "replaced",
            Self::MediaChanged => "media_changed",
            Self::PublisherGone => "publisher_gone",
            Self::Fault => "fault",
            Self::Shutdown => "shutdown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_lists_exactly_these_reasons() {
        let guide = include_str!("../../docs/doors.md");
        let list = guide.split("relay_session_end_total").nth(1).and_then(|rest| rest.split("\n\n").next());
        let listed: Vec<&str> = list.unwrap_or_default().split('`').skip(2).step_by(2).collect();
        assert_eq!(listed, EndReason::ALL.map(EndReason::label));
    }
}
