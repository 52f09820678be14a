//! Writes what a relay and its clients send.

use bytes::Bytes;
use rtc_rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc_rtcp::receiver_report::ReceiverReport;
use rtc_rtcp::reception_report::ReceptionReport as LibraryReport;
use rtc_rtcp::sender_report::SenderReport as LibrarySenderReport;
use rtc_rtcp::source_description::{
    SdesType, SourceDescription, SourceDescriptionChunk, SourceDescriptionItem,
};
use rtc_rtcp::transport_feedbacks::transport_layer_nack::{
    TransportLayerNack, nack_pairs_from_sequence_numbers,
};
use rtc_shared::marshal::Marshal;

use super::{ReceptionReport, SenderReport};

/// Appends a PLI.
pub fn write_pli(sender_ssrc: u32, media_ssrc: u32, out: &mut Vec<u8>) {
    append(&PictureLossIndication { sender_ssrc, media_ssrc }, out);
}

/// Appends NACKs for these sequence numbers (ascending, wrapping allowed), in as many packets as they need. Nothing for
/// none.
pub fn write_nack(sender_ssrc: u32, media_ssrc: u32, lost: &[u16], out: &mut Vec<u8>) {
    for nacks in nack_pairs_from_sequence_numbers(lost).chunks(MAX_NACK_PAIRS) {
        append(&TransportLayerNack { sender_ssrc, media_ssrc, nacks: nacks.to_vec() }, out);
    }
}

/// Appends a sender report, followed by the SDES with `cname` that RFC 3550 section 6.1 asks for. At most 31 reception
/// reports and 255 bytes of `cname` are written.
pub fn write_sender_report(report: &SenderReport, cname: &str, out: &mut Vec<u8>) {
    let packet = LibrarySenderReport {
        ssrc: report.ssrc,
        ntp_time: report.ntp_time,
        rtp_time: report.rtp_time,
        packet_count: report.packet_count,
        octet_count: report.octet_count,
        reports: library_reports(&report.reports),
        profile_extensions: Bytes::new(),
    };
    append(&packet, out);
    append_cname(report.ssrc, cname, out);
}

/// Appends a receiver report, followed by the SDES with `cname`, with the same limits as [`write_sender_report`].
pub fn write_receiver_report(ssrc: u32, reports: &[ReceptionReport], cname: &str, out: &mut Vec<u8>) {
    let packet = ReceiverReport { ssrc, reports: library_reports(reports), profile_extensions: Bytes::new() };
    append(&packet, out);
    append_cname(ssrc, cname, out);
}

fn append_cname(source: u32, cname: &str, out: &mut Vec<u8>) {
    let text = Bytes::copy_from_slice(&cname.as_bytes()[..cname.floor_char_boundary(MAX_CNAME_LEN)]);
    let items = vec![SourceDescriptionItem { sdes_type: SdesType::SdesCname, text }];
    append(&SourceDescription { chunks: vec![SourceDescriptionChunk { source, items }] }, out);
}

fn library_reports(reports: &[ReceptionReport]) -> Vec<LibraryReport> {
    let theirs = |report: &ReceptionReport| LibraryReport {
        ssrc: report.ssrc,
        fraction_lost: report.fraction_lost,
        total_lost: report.total_lost & 0x00FF_FFFF,
        last_sequence_number: report.highest_sequence_number,
        jitter: report.jitter,
        last_sender_report: report.last_sender_report,
        delay: report.delay,
    };
    reports.iter().take(MAX_REPORTS).map(theirs).collect()
}

fn append(packet: &impl Marshal, out: &mut Vec<u8>) {
    let at = out.len();
    out.resize(at + packet.marshal_size(), 0);
    packet.marshal_to(&mut out[at..]).expect("counts and lengths are kept within what RTCP allows");
}

/// The five bits of the count.
const MAX_REPORTS: usize = 31;
const MAX_CNAME_LEN: usize = 255;
/// 812 bytes: one datagram.
const MAX_NACK_PAIRS: usize = 200;
