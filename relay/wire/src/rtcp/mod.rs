//! RTCP (RFC 3550 section 6, RFC 4585, RFC 5104) through `rtc-rtcp`: what a relay acts on, and what it sends.
//!
//! [`parse`] walks the compound itself and hands the library one packet at a time, of checked length and without
//! padding, which it would read as content. Transport-wide feedback is read by us, because the
//! library makes up to a megabyte of 24 bytes; REMB is read by us because it takes a mantissa of 0 for 2^23.

mod pause;
mod read;
mod requests;
#[cfg(test)]
mod tests;
mod transport_feedback;
mod write;

pub use pause::{write_pause, write_resume};
pub use read::parse;
pub use requests::{Lost, LostIter, Request, requests};
pub use transport_feedback::{
    MOST_REPORTED, PacketStatus, PacketStatuses, TICK_MICROS, TICKS_PER_REFERENCE, TransportFeedback,
    TransportFeedbackReport, write_transport_feedback,
};
pub use write::{write_nack, write_pli, write_receiver_report, write_reference_answer, write_sender_report};

/// One RTCP packet of a compound, as far as we act on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RtcpMessage {
    /// Sender report (RFC 3550 section 6.4.1).
    SenderReport(SenderReport),
    /// Receiver report (RFC 3550 section 6.4.2).
    ReceiverReport {
        /// Who reports.
        ssrc: u32,
        /// What it says about each source it hears.
        reports: Vec<ReceptionReport>,
    },
    /// The sources leave (RFC 3550 section 6.6).
    Bye {
        /// Who leaves.
        ssrcs: Vec<u32>,
    },
    /// Packets that did not come (RFC 4585 section 6.2.1), in the order named.
    Nack {
        /// Who asks.
        sender_ssrc: u32,
        /// Whose packets.
        media_ssrc: u32,
        /// Their sequence numbers.
        lost: Vec<u16>,
    },
    /// Picture loss: a key frame is wanted (RFC 4585 section 6.3.1).
    Pli {
        /// Who asks.
        sender_ssrc: u32,
        /// Of which stream.
        media_ssrc: u32,
    },
    /// Full intra request: a key frame is wanted (RFC 5104 section 4.3.1).
    Fir {
        /// Who asks.
        sender_ssrc: u32,
        /// Of which streams.
        media_ssrcs: Vec<u32>,
    },
    /// Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    TransportCc(TransportCc),
    /// Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb).
    Remb {
        /// Bits per second.
        bits_per_second: u64,
        /// Of which streams.
        ssrcs: Vec<u32>,
    },
    /// A packet we do not act on (SDES among them), by its type and its five bits of format or count.
    Other {
        /// Packet type.
        packet_type: u8,
        /// Format or count.
        format: u8,
    },
}

/// A sender report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderReport {
    /// Whose report.
    pub ssrc: u32,
    /// When it was sent, 64-bit NTP time.
    pub ntp_time: u64,
    /// The same instant in RTP ticks.
    pub rtp_time: u32,
    /// Packets sent so far.
    pub packet_count: u32,
    /// Payload bytes sent so far.
    pub octet_count: u32,
    /// What the sender itself hears.
    pub reports: Vec<ReceptionReport>,
}

/// What a receiver says about one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReceptionReport {
    /// The source.
    pub ssrc: u32,
    /// Part of packets lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost so far: 24 bits in two's complement, negative when more came than were expected.
    pub total_lost: u32,
    /// Highest sequence number received, with its count of wraps in the upper 16 bits.
    pub highest_sequence_number: u32,
    /// Jitter in RTP ticks.
    pub jitter: u32,
    /// Middle 32 bits of the NTP time of the last sender report, 0 for none.
    pub last_sender_report: u32,
    /// Time since that report arrived, in 1/65536 s.
    pub delay: u32,
}

/// Head of a transport-wide feedback packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportCc {
    /// First transport-wide sequence number it speaks of.
    pub base_sequence_number: u16,
    /// Of how many packets it speaks.
    pub packet_status_count: u16,
    /// Number of this feedback packet, to see lost ones.
    pub feedback_packet_count: u8,
}

/// Why a datagram is not an RTCP compound. The fault is the peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RtcpError {
    /// A length runs past the end of the datagram, or a packet is shorter than its type needs.
    #[error("RTCP packet is cut off")]
    Truncated,
    /// The version is not 2.
    #[error("not RTCP version 2")]
    Version,
    /// A known packet with impossible content.
    #[error("RTCP packet is malformed")]
    Malformed,
}
