//! Where a room puts what it sends: one trait, implemented by the shell, monomorphised, called viewer by viewer.

use crate::id::SubscriberId;

/// Takes what a [`Room`](crate::room::Room) sends.
///
/// Calls come viewer-major: one [`begin`](Sink::begin), then everything for that viewer, then one [`end`](Sink::end). What lies
/// between the two is one train: send it as one batch. The slices live only during the call, so the shell copies header,
/// prefix and payload once (into its send arena) and seals in place.
pub trait Sink {
    /// What follows goes to `subscriber`.
    fn begin(&mut self, subscriber: SubscriberId);

    /// One RTP packet for the subscriber of the last [`begin`](Sink::begin).
    fn packet(&mut self, packet: &Outgoing<'_>);

    /// One sender report for the subscriber of the last [`begin`](Sink::begin). The shell makes the compound RTCP packet.
    fn report(&mut self, report: &SenderReport);

    /// Nothing more for `subscriber` in this call.
    fn end(&mut self, subscriber: SubscriberId);
}

/// One RTP packet of one leg, in three parts that follow each other on the wire.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Whose packet it is.
    pub subscriber: SubscriberId,
    /// SSRC in the header: the leg's media SSRC, or its RTX SSRC.
    pub ssrc: u32,
    /// 48-bit SRTP packet index (RFC 3711 3.3.1); its low 16 bits are the header's sequence number. Strictly its own per SSRC:
    /// no index is ever given out twice while the subscription lives.
    pub index: u64,
    /// RTP header with its extension block: authenticated, not encrypted.
    pub header: &'a [u8],
    /// First encrypted bytes: the original sequence number of an RTX packet (RFC 4588), else empty.
    pub prefix: &'a [u8],
    /// The rest of the encrypted bytes, the same for every viewer.
    pub payload: &'a [u8],
    /// Marker bit: the last packet of a frame.
    pub marker: bool,
    /// Audio, video or repair.
    pub kind: OutgoingKind,
}

impl Outgoing<'_> {
    /// Bytes of the packet before sealing.
    pub fn len(&self) -> usize {
        self.header.len() + self.prefix.len() + self.payload.len()
    }

    /// Always false: a packet has at least its RTP header.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What an outgoing packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutgoingKind {
    /// Audio on the leg's media SSRC.
    Audio,
    /// Video on the leg's media SSRC.
    Video,
    /// A repeated packet on the leg's RTX SSRC.
    Repair,
}

/// What a sender report (RFC 3550 6.4.1) of one leg says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderReport {
    /// Whose leg it is.
    pub subscriber: SubscriberId,
    /// The leg's media SSRC.
    pub ssrc: u32,
    /// NTP timestamp (32.32) on the publisher's clock, advanced to now, so that a viewer can line up audio and video.
    pub ntp: u64,
    /// RTP timestamp of the same instant, on the leg's own time line.
    pub rtp_timestamp: u32,
    /// Packets sent on the SSRC so far, modulo 2^32.
    pub packets: u32,
    /// Payload bytes sent on the SSRC so far, modulo 2^32.
    pub octets: u32,
}
