//! SRTP and SRTCP (RFC 3711, RFC 7714): keys from DTLS, seal straight into the send arena, open in place.
//!
//! `rtc-srtp` is the witness in the tests, not the implementation; `relay/docs/decisions/0021-own-srtp.md` says why.
//! Nothing here changes state before a packet is authenticated, and nothing allocates per packet.

mod control;
mod keys;
mod open;
mod replay;
mod seal;

pub use control::{ControlOpener, ControlSealer};
pub use keys::{MasterKey, SrtpProfile, UnknownProfile, from_keying_material};
pub use open::Opener;
pub use seal::{Plain, Sealer};

/// Why a packet could not be opened. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Peer: too short, or not (S)RTP or (S)RTCP.
    #[error("not an SRTP or SRTCP packet")]
    Malformed,
    /// Peer, or somebody else: the authentication tag is wrong.
    #[error("the authentication tag is wrong")]
    Authentication,
    /// Peer, or the network: this packet came before, or is too old to tell.
    #[error("the packet came before")]
    Replayed,
    /// Peer: authentic, but from more SSRCs than one peer may use.
    #[error("too many SSRCs")]
    TooManySources,
}

/// The buffer has no room for the tag, or the packet is longer than the cipher allows. Our fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the packet cannot be sealed")]
pub struct SealError;

#[cfg(test)]
mod tests;
