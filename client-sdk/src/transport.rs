//! How packets get to a relay and back: the words every transport shares. WebRTC is the one there is.
//!
//! A transport moves RTP packets whose payload is already sealed. It knows no key and no frame.

pub mod webrtc;

use std::fmt;
use std::time::Instant;

use bytes::Bytes;
use latchkey_wire::codec::{Codec, MediaKind};
use url::Url;
use zeroize::Zeroizing;

/// Where a session is opened at the relay, and the leave to do so.
pub struct RelayDoor {
    /// The WHIP (RFC 9725) or WHEP address.
    pub url: Url,
    /// The grant: a bearer token, sent in a header and never in an address.
    pub grant: Zeroizing<String>,
}

impl fmt::Debug for RelayDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayDoor").field("url", &self.url.as_str()).field("grant", &"…").finish()
    }
}

/// One RTP header extension: the negotiated id and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionBytes {
    /// The id agreed in SDP, 1 to 255.
    pub id: u8,
    /// The element's content, without RFC 8285 framing.
    pub bytes: Bytes,
}

/// One RTP packet to send; the transport adds version, payload type and SSRC.
#[derive(Clone, Debug)]
pub struct OutgoingPacket {
    /// RTP sequence number, counting on by one per packet of the track.
    pub sequence_number: u16,
    /// RTP timestamp in the codec's clock (90 kHz for video, 48 kHz for Opus).
    pub timestamp: u32,
    /// Whether this is the last packet of its frame.
    pub marker: bool,
    /// Header extensions; ids that the relay did not accept are left out on sending.
    pub extensions: Vec<ExtensionBytes>,
    /// The RTP payload.
    pub payload: Bytes,
}

/// One RTP packet that came from the relay, retransmissions already turned back into the original.
#[derive(Clone, Debug)]
pub struct IncomingPacket {
    /// Which of the two tracks it belongs to.
    pub kind: MediaKind,
    /// The codec named by its payload type.
    pub codec: Codec,
    /// RTP sequence number.
    pub sequence_number: u16,
    /// RTP timestamp in the codec's clock.
    pub timestamp: u32,
    /// Whether this is the last packet of its frame.
    pub marker: bool,
    /// Header extensions as they came.
    pub extensions: Vec<ExtensionBytes>,
    /// The RTP payload.
    pub payload: Bytes,
    /// When it was taken from the connection.
    pub arrived: Instant,
}

/// What a connection to a relay tells its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkEvent {
    /// A path to the relay was found (ICE connected).
    PathFound,
    /// Keys for the hop to the relay are agreed (DTLS finished): packets may flow.
    Secured,
    /// The relay asks for a key frame of this kind.
    KeyFrameWanted(MediaKind),
    /// The path stopped answering; it may come back.
    Interrupted,
    /// The connection is over.
    Closed,
}

/// Why no session could be had from a relay.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// Nobody answered at the door.
    #[error("the relay at {host} does not answer ({reason})")]
    Unreachable {
        /// Host and port that were tried.
        host: String,
        /// What the network said.
        reason: String,
    },
    /// The relay refused, with its stable problem code.
    #[error("the relay refused: {detail} ({code}, HTTP {status})")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Stable code of the RFC 9457 problem, or `http` when it sent none.
        code: String,
        /// The relay's own sentence.
        detail: String,
    },
    /// The relay's answer could not be used.
    #[error("the relay's answer cannot be used ({0})")]
    BadAnswer(String),
    /// The connection could not be prepared on this side.
    #[error("the connection cannot be prepared ({0})")]
    Setup(String),
    /// No local address could be bound.
    #[error("no UDP socket could be opened on this machine ({0})")]
    NoSocket(String),
    /// A step did not finish in time.
    #[error("{step} took longer than {seconds} s")]
    Timeout {
        /// The step that was waited for.
        step: &'static str,
        /// The limit, in seconds.
        seconds: u64,
    },
    /// The connection was closed.
    #[error("the connection to the relay is closed")]
    Closed,
}

impl TransportError {
    /// Returns whether the relay said that the camera is not sending now.
    pub fn is_no_publisher(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "no-publisher")
    }

    /// Returns whether a new grant may help: the one shown was refused.
    pub fn wants_new_grant(&self) -> bool {
        matches!(self, Self::Refused { status: 401 | 403, .. })
    }
}
