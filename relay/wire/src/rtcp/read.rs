//! Reads a compound into our enum.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |V=2|P| FMT/cnt |  packet type  |   length in words, less one   |
//! ```

use bytes::Buf;
use rtc_rtcp::goodbye::Goodbye;
use rtc_rtcp::header::{FORMAT_FIR, FORMAT_PLI, FORMAT_REMB, FORMAT_TCC, FORMAT_TLN};
use rtc_rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc_rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc_rtcp::receiver_report::ReceiverReport;
use rtc_rtcp::reception_report::ReceptionReport as LibraryReport;
use rtc_rtcp::sender_report::SenderReport as LibrarySenderReport;
use rtc_rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use rtc_shared::marshal::Unmarshal;

use super::{ReceptionReport, RtcpError, RtcpMessage, SenderReport, TransportCc};

/// Appends the packets of a compound (opened, without SRTCP trailer) to `out`.
///
/// # Errors
/// [`RtcpError`]; `out` then holds the packets before the bad one, which may be acted on.
pub fn parse(compound: &[u8], out: &mut Vec<RtcpMessage>) -> Result<(), RtcpError> {
    // No datagram is larger, and the library's lengths overflow above.
    if compound.is_empty() || compound.len() > usize::from(u16::MAX) {
        return Err(RtcpError::Truncated);
    }
    let mut rest = compound;
    while !rest.is_empty() {
        let (packet, after) = Packet::split(rest)?;
        out.push(packet.read()?);
        rest = after;
    }
    Ok(())
}

/// One packet of a compound, its padding taken off.
pub(super) struct Packet<'a> {
    pub(super) format: u8,
    pub(super) packet_type: u8,
    pub(super) body: &'a [u8],
}

impl<'a> Packet<'a> {
    pub(super) fn split(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), RtcpError> {
        let ([flags, packet_type, length @ ..], rest) =
            bytes.split_first_chunk::<HEADER_LEN>().ok_or(RtcpError::Truncated)?;
        if flags >> 6 != 2 {
            return Err(RtcpError::Version);
        }
        let len = 4 * usize::from(u16::from_be_bytes(*length));
        let (mut body, rest) = rest.split_at_checked(len).ok_or(RtcpError::Truncated)?;
        let format = flags & FORMAT_MASK;
        // Transport-wide feedback says itself how long it is, and libwebrtc pads it by one to three bytes.
        let measured = (*packet_type, format) == (TRANSPORT_FEEDBACK, FORMAT_TCC);
        if flags & PADDING_BIT != 0 && !measured {
            let padding = usize::from(*body.last().ok_or(RtcpError::Malformed)?);
            // RFC 3550 section 6.4.1: a multiple of four, counting itself.
            if padding == 0 || padding % 4 != 0 {
                return Err(RtcpError::Malformed);
            }
            let kept = body.len().checked_sub(padding).ok_or(RtcpError::Malformed)?;
            body = &body[..kept];
        }
        Ok((Self { format, packet_type: *packet_type, body }, rest))
    }

    fn read(&self) -> Result<RtcpMessage, RtcpError> {
        Ok(match (self.packet_type, self.format) {
            (SENDER_REPORT, _) => RtcpMessage::SenderReport(self.parsed::<LibrarySenderReport>()?.into()),
            (RECEIVER_REPORT, _) => {
                let report = self.parsed::<ReceiverReport>()?;
                RtcpMessage::ReceiverReport { ssrc: report.ssrc, reports: reports(&report.reports) }
            }
            (BYE, _) => RtcpMessage::Bye { ssrcs: self.parsed::<Goodbye>()?.sources },
            (TRANSPORT_FEEDBACK, FORMAT_TLN) => {
                let nack = self.parsed::<TransportLayerNack>()?;
                let lost = nack.nacks.into_iter().flatten().collect();
                RtcpMessage::Nack { sender_ssrc: nack.sender_ssrc, media_ssrc: nack.media_ssrc, lost }
            }
            (TRANSPORT_FEEDBACK, FORMAT_TCC) => RtcpMessage::TransportCc(self.transport_cc()?),
            (PAYLOAD_FEEDBACK, FORMAT_PLI) => {
                let pli = self.parsed::<PictureLossIndication>()?;
                RtcpMessage::Pli { sender_ssrc: pli.sender_ssrc, media_ssrc: pli.media_ssrc }
            }
            (PAYLOAD_FEEDBACK, FORMAT_FIR) => {
                let fir = self.parsed::<FullIntraRequest>()?;
                let media_ssrcs = fir.fir.iter().map(|entry| entry.ssrc).collect();
                RtcpMessage::Fir { sender_ssrc: fir.sender_ssrc, media_ssrcs }
            }
            (PAYLOAD_FEEDBACK, FORMAT_REMB) if self.body.get(8..12) == Some(b"REMB") => {
                let (bits_per_second, ssrcs) = self.remb()?;
                let ssrcs = ssrcs.iter().map(|ssrc| u32::from_be_bytes(*ssrc)).collect();
                RtcpMessage::Remb { bits_per_second, ssrcs }
            }
            (packet_type, format) => RtcpMessage::Other { packet_type, format },
        })
    }

    /// Lets the library read this packet.
    fn parsed<T: Unmarshal>(&self) -> Result<T, RtcpError> {
        let words = (self.body.len() / 4) as u16;
        let [high, low] = words.to_be_bytes();
        let header = [VERSION_2 | self.format, self.packet_type, high, low];
        T::unmarshal(&mut header.as_slice().chain(self.body)).map_err(|_| RtcpError::Malformed)
    }

    /// draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1, up to the first status chunk.
    fn transport_cc(&self) -> Result<TransportCc, RtcpError> {
        let head = self.body.first_chunk::<16>().ok_or(RtcpError::Malformed)?;
        Ok(TransportCc {
            base_sequence_number: u16::from_be_bytes([head[8], head[9]]),
            packet_status_count: u16::from_be_bytes([head[10], head[11]]),
            feedback_packet_count: head[15],
        })
    }

    /// draft-alvestrand-rmcat-remb section 2.2: 6 bits of exponent, 18 of mantissa.
    pub(super) fn remb(&self) -> Result<(u64, &'a [[u8; 4]]), RtcpError> {
        let (&[count, high, middle, low], ssrcs) =
            self.body[12..].split_first_chunk().ok_or(RtcpError::Malformed)?;
        let ssrcs = ssrcs.get(..4 * usize::from(count)).ok_or(RtcpError::Malformed)?;
        let mantissa = u64::from(u32::from_be_bytes([0, high & 0x03, middle, low]));
        let exponent = u32::from(high >> 2);
        let bits_per_second =
            if mantissa.leading_zeros() >= exponent { mantissa << exponent } else { u64::MAX };
        Ok((bits_per_second, ssrcs.as_chunks::<4>().0))
    }
}

impl From<LibrarySenderReport> for SenderReport {
    fn from(report: LibrarySenderReport) -> Self {
        Self {
            ssrc: report.ssrc,
            ntp_time: report.ntp_time,
            rtp_time: report.rtp_time,
            packet_count: report.packet_count,
            octet_count: report.octet_count,
            reports: reports(&report.reports),
        }
    }
}

fn reports(reports: &[LibraryReport]) -> Vec<ReceptionReport> {
    let ours = |report: &LibraryReport| ReceptionReport {
        ssrc: report.ssrc,
        fraction_lost: report.fraction_lost,
        total_lost: report.total_lost,
        highest_sequence_number: report.last_sequence_number,
        jitter: report.jitter,
        last_sender_report: report.last_sender_report,
        delay: report.delay,
    };
    reports.iter().map(ours).collect()
}

const HEADER_LEN: usize = 4;
const VERSION_2: u8 = 0x80;
const PADDING_BIT: u8 = 0x20;
const FORMAT_MASK: u8 = 0x1F;
const SENDER_REPORT: u8 = 200;
pub(super) const RECEIVER_REPORT: u8 = 201;
const BYE: u8 = 203;
pub(super) const TRANSPORT_FEEDBACK: u8 = 205;
pub(super) const PAYLOAD_FEEDBACK: u8 = 206;
pub(super) const EXTENDED_REPORT: u8 = 207;
