//! What goes into a client to be sent, and what it tells.

use std::time::SystemTime;

use str0m::rtp::RtpPacket;

/// What happens at a client.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly all of them are packets, and a box for each costs more")]
pub enum PeerEvent {
    /// ICE and DTLS are done.
    Connected,
    /// The way to the server is lost; ICE may still find it again.
    Disconnected,
    /// The way to the server was found again.
    Reconnected,
    /// The server ended the connection.
    Closed,
    /// The server wants a key frame.
    KeyFrameWanted,
    /// An authentic RTP packet. One that came as a retransmission has its first number, SSRC and payload type here.
    Packet(RtpPacket, SystemTime),
    /// So many NACK messages went out (a client that views) or came in (one that publishes) since this was told last.
    Nacks(u64),
}

/// One packet to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Sequence number, counted on beyond 16 bits.
    pub sequence: u64,
    /// RTP timestamp, ticks of 90 kHz.
    pub timestamp: u32,
    /// Last packet of its frame.
    pub marker: bool,
    /// Payload, packetised.
    pub payload: &'a [u8],
}
