//! What a track is made with.

use latchkey_wire::codec::Codec;
use latchkey_wire::extension::ExtensionMap;

use crate::id::{Rid, TrackId};

/// What the relay agreed with a publisher for one m-line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackParams {
    /// The one codec that is sent.
    pub codec: Codec,
    /// Payload type the publisher gave it.
    pub payload_type: u8,
    /// Payload type of the publisher's RTX, when negotiated.
    pub rtx_payload_type: Option<u8>,
    /// The media SSRC, when the offer named it; otherwise the first packet with the payload type tells it, and a packet with
    /// another one later is a restart.
    pub ssrc: Option<u32>,
    /// The SSRC of its RTX, when the offer named it.
    pub rtx_ssrc: Option<u32>,
    /// Extension ids of the m-line.
    pub extensions: ExtensionMap,
    /// The publisher answers generic NACKs.
    pub nack: bool,
    /// For a further simulcast layer: the first track of its source, which is what viewers subscribe to.
    pub first: Option<TrackId>,
    /// The name of a simulcast layer in the RTP stream id extension (RFC 8852); its SSRC is learnt by it.
    pub rid: Option<Rid>,
    /// The publisher understands PAUSE and RESUME (RFC 7728).
    pub pause: bool,
}
