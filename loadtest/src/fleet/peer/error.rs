//! Why a client of the fleet is of no use (any more), and whose fault that is.

use std::io;
use std::time::Duration;

use latchkey_wire::codec::Codec;
use str0m::error::RtcError;

use crate::measure::line::Party;

/// Why a client is of no use (any more).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// The system gave no socket, or took it away: this machine's fault.
    #[error("the client's socket: {0}")]
    Socket(#[from] io::Error),
    /// The fleet speaks VP8 and H.264 only: the caller's fault.
    #[error("clients of the fleet speak VP8 and H.264, not {0}")]
    Codec(Codec),
    /// The door's answer is no SDP, or does not fit the offer: the server's fault.
    #[error("the server's answer cannot be used: {0}")]
    Answer(String),
    /// The answer takes no media: the server's fault.
    #[error("the server's answer names no payload type for video")]
    NoMedia,
    /// The client's engine gave up, such as on DTLS that does not fit.
    #[error("the client gave up: {0}")]
    Engine(#[from] RtcError),
    /// The server ended the connection.
    #[error("the server closed the connection")]
    Closed,
    /// The server has not answered for so long that the client gives up.
    #[error("the server does not answer any more")]
    Lost,
    /// ICE or DTLS were not done in time: the server's fault, or that of the network between.
    #[error("no connection within {} s: no answer from the server's media address, or DTLS does not come about", .0.as_secs())]
    NotConnected(Duration),
    /// Nothing is written before the answer came, or by a client that views: the caller's fault.
    #[error("this client does not send")]
    NotSending,
}

impl PeerError {
    /// Returns whose fault it is, as far as the client can tell.
    #[must_use]
    pub fn party(&self) -> Party {
        match self {
            Self::Socket(_) => Party::Driver,
            Self::Codec(_) | Self::NotSending => Party::Caller,
            Self::Answer(_) | Self::NoMedia | Self::Closed | Self::Lost | Self::NotConnected(_) => {
                Party::Server
            }
            Self::Engine(_) => Party::Viewer,
        }
    }
}
