//! What a leg is made with.

use latchkey_wire::extension::ExtensionMap;

use crate::header::Mid;

/// What the relay agreed with a viewer for one m-line.
#[derive(Clone, Copy, Debug)]
pub struct SubscriptionParams {
    /// SSRC the relay sends media with; its own per leg and m-line, and never subscribed with before under the viewer's
    /// present SRTP keys: its packet indices begin anew with the subscription.
    pub ssrc: u32,
    /// Payload type the viewer gave the codec.
    pub payload_type: u8,
    /// RTX (RFC 4588), when negotiated; without it lost packets are not repeated.
    pub rtx: Option<RtxParams>,
    /// The m-line's mid.
    pub mid: Mid,
    /// Extension ids of the m-line.
    pub extensions: ExtensionMap,
    /// Where the leg's numbers begin: random.
    pub origin: Origin,
    /// Bits a second that the viewer wishes at most; it gets the largest layer that takes no more, and if none does the
    /// smallest.
    pub most_bits_per_second: Option<u64>,
}

/// RTX of one leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtxParams {
    /// SSRC the relay sends repairs with; as new as the media SSRC.
    pub ssrc: u32,
    /// Payload type the viewer gave RTX.
    pub payload_type: u8,
}

/// Random first numbers of a leg (RFC 3550 5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// First media sequence number; the top bit is ignored.
    pub sequence: u16,
    /// First RTX sequence number; the top bit is ignored.
    pub rtx_sequence: u16,
    /// Added to every timestamp.
    pub timestamp: u32,
}
