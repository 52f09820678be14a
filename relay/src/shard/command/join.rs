//! What a join carries: the peer's side as its offer and grant say it, and what the relay says back.

use std::fmt;
use std::net::SocketAddr;
use std::time::SystemTime;

use latchkey_relay_core::Rid;
use latchkey_wire::codec::{Codec, MediaKind};
use latchkey_wire::id::{DeviceHandle, RoomId};

use crate::shard::session_id::SessionId;
use crate::transport::fingerprint::Fingerprint;

/// One peer asks to publish into, or to view, a room. The grant has already been verified by the caller.
#[derive(Clone, Debug)]
pub struct JoinRequest {
    /// The room that the grant names.
    pub room: RoomId,
    /// The grant's subject: which device this is, opaque to the relay.
    pub device: DeviceHandle,
    /// What the peer will do.
    pub role: Role,
    /// The grant's `iat`; compared with cuts that forbid older grants.
    pub granted_at: SystemTime,
    /// The grant's `session_exp`; the leg ends then at the latest.
    pub session_expires: SystemTime,
    /// The peer's ICE and DTLS parameters from its offer.
    pub remote: RemoteParams,
    /// One- and two-byte header extensions may be mixed towards this peer (`a=extmap-allow-mixed`).
    pub extmap_allow_mixed: bool,
    /// The negotiated media sections, in the order of the offer.
    pub media: Vec<MediaLeg>,
}

/// What a peer does in its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Sends media; one per room.
    Publish,
    /// Receives the room's media.
    View,
}

/// The peer's side of the transport, as its offer says.
#[derive(Clone)]
pub struct RemoteParams {
    /// `a=ice-ufrag`.
    pub ufrag: String,
    /// `a=ice-pwd`; never logged.
    pub pwd: String,
    /// `a=fingerprint:sha-256`.
    pub fingerprint: Fingerprint,
    /// UDP candidates of the offer. Informative: an address counts only once it passed an authenticated check.
    pub candidates: Vec<SocketAddr>,
}

/// One negotiated media section of one peer.
///
/// For a publisher `codec` and `payload_type` are what it will send; for a viewer what the relay will send to it.
#[derive(Clone, Debug)]
pub struct MediaLeg {
    /// `a=mid`, at most 16 bytes.
    pub mid: String,
    /// Audio or video.
    pub kind: MediaKind,
    /// The one codec chosen for this section; `None` when it was refused (port 0), which keeps indices aligned.
    pub codec: Option<Codec>,
    /// Payload type of the codec on this leg.
    pub payload_type: u8,
    /// Payload type of RTX (RFC 4588) for it, when negotiated.
    pub rtx_payload_type: Option<u8>,
    /// Negotiated header extension ids.
    pub extensions: ExtensionMap,
    /// Publisher: SSRC of `a=ssrc`, when the offer names one; otherwise it is learnt by mid or payload type.
    pub remote_ssrc: Option<u32>,
    /// Publisher: its RTX SSRC, when the offer names one.
    pub remote_rtx_ssrc: Option<u32>,
    /// SSRC that the relay sends with on this leg (for a publisher: of its receiver reports).
    pub local_ssrc: u32,
    /// RTX SSRC that the relay sends with on this leg; unused without `rtx_payload_type`.
    pub local_rtx_ssrc: u32,
    /// Negotiated RTCP feedback.
    pub feedback: Feedback,
    /// Publisher: its simulcast layers in the order of the offer; none for a single stream.
    pub layers: Vec<OfferedLayer>,
    /// Viewer: bits a second that it wishes at most.
    pub most_bits_per_second: Option<u64>,
}

/// One simulcast layer that a publisher offers (RFC 8853).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfferedLayer {
    /// Its name (RFC 8851); its SSRCs are learnt by the header extensions that carry it.
    pub rid: Option<Rid>,
    /// Told by `a=ssrc-group:SIM` and `FID`, as offers without names do.
    pub ssrc: Option<u32>,
    /// SSRC of its RTX.
    pub rtx_ssrc: Option<u32>,
}

/// Header extension ids (1..=14 one-byte, up to 255 two-byte) negotiated on one media section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtensionMap {
    /// `urn:ietf:params:rtp-hdrext:sdes:mid`
    pub mid: Option<u8>,
    /// `urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id`
    pub rid: Option<u8>,
    /// `urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id`
    pub repaired_rid: Option<u8>,
    /// `http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time`
    pub abs_capture_time: Option<u8>,
    /// The AV1 RTP specification's dependency descriptor.
    pub dependency_descriptor: Option<u8>,
    /// `draft-holmer-rmcat-transport-wide-cc-extensions-01`
    pub transport_cc: Option<u8>,
    /// `http://www.webrtc.org/experiments/rtp-hdrext/playout-delay`
    pub playout_delay: Option<u8>,
}

/// RTCP feedback negotiated for the chosen payload type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Feedback {
    /// `nack`
    pub nack: bool,
    /// `nack pli`
    pub pli: bool,
    /// `transport-cc`
    pub transport_cc: bool,
    /// `ccm pause` (RFC 7728)
    pub pause: bool,
}

/// What the caller needs for the SDP answer. Fingerprint and candidates are the same for the whole relay.
#[derive(Clone)]
pub struct JoinAccepted {
    /// Names the session in later commands.
    pub session: SessionId,
    /// The relay's `a=ice-ufrag` for this peer; its first character names the shard.
    pub ufrag: String,
    /// The relay's `a=ice-pwd` for this peer; never logged.
    pub pwd: String,
}

/// Why a join was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// Caller (viewer): nobody publishes into the room now; worth a retry.
    #[error("nobody publishes into this room")]
    NoPublisher,
    /// Caller (publisher): another device publishes into the room.
    #[error("another device publishes into this room")]
    RoomTaken,
    /// Caller: no media section fits what the room carries.
    #[error("no offered media section fits this room")]
    NoCommonMedia,
    /// Caller: the device was cut off after this grant was issued.
    #[error("the device was cut off after this grant was issued")]
    CutOff,
    /// Caller: the session would already be over.
    #[error("the granted session is over")]
    Expired,
    /// Caller: a parameter cannot be used (named in the text).
    #[error("unusable parameter: {0}")]
    Unusable(&'static str),
    /// Us: the room or the shard is full.
    #[error("the relay is full")]
    Full,
    /// Us: the relay is draining and takes nobody new.
    #[error("the relay is draining")]
    Draining,
    /// Us: the shard's command queue is full or its thread has ended.
    #[error("the shard does not answer")]
    Unavailable,
}

impl fmt::Debug for RemoteParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteParams")
            .field("fingerprint", &self.fingerprint)
            .field("candidates", &self.candidates.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for JoinAccepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinAccepted").field("session", &self.session).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn secrets_stay_out_of_debug_output() {
        let params = RemoteParams {
            ufrag: "fragfrag".into(),
            pwd: "correcthorsebattery".into(),
            fingerprint: Fingerprint([7; 32]),
            candidates: Vec::new(),
        };
        let shown = format!("{params:?}");
        assert!(!shown.contains("correcthorse") && !shown.contains("fragfrag"), "{shown}");
    }
}
