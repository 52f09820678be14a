//! Writes what a relay and its clients send, by hand: nothing is allocated but what `out` grows by.

use super::{ReceptionReport, SenderReport};

/// Appends a PLI (RFC 4585 section 6.3.1).
pub fn write_pli(sender_ssrc: u32, media_ssrc: u32, out: &mut Vec<u8>) {
    packet(PLI, PAYLOAD_FEEDBACK, out, |out| {
        word(sender_ssrc, out);
        word(media_ssrc, out);
    });
}

/// Appends NACKs (RFC 4585 section 6.2.1) for these sequence numbers (ascending, wrapping allowed), in as many packets as
/// they need. Nothing for none.
pub fn write_nack(sender_ssrc: u32, media_ssrc: u32, lost: &[u16], out: &mut Vec<u8>) {
    let mut rest = lost;
    while !rest.is_empty() {
        packet(GENERIC_NACK, TRANSPORT_FEEDBACK, out, |out| {
            word(sender_ssrc, out);
            word(media_ssrc, out);
            for _ in 0..MAX_NACK_PAIRS {
                let Some((first, after)) = rest.split_first() else { break };
                let (mut following, mut left) = (0u16, after);
                // Each of the 16 bits stands for one number after the first.
                while let Some((next, after)) = left.split_first()
                    && let offset @ 1..=16 = next.wrapping_sub(*first)
                {
                    following |= 1 << (offset - 1);
                    left = after;
                }
                rest = left;
                out.extend(first.to_be_bytes());
                out.extend(following.to_be_bytes());
            }
        });
    }
}

/// Appends a sender report (RFC 3550 section 6.4.1), followed by the SDES with `cname` that section 6.1 asks for. At most 31
/// reception reports and 255 bytes of `cname` are written.
pub fn write_sender_report(report: &SenderReport, cname: &str, out: &mut Vec<u8>) {
    let reports = at_most_31(&report.reports);
    packet(reports.len() as u8, SENDER_REPORT, out, |out| {
        word(report.ssrc, out);
        out.extend(report.ntp_time.to_be_bytes());
        for value in [report.rtp_time, report.packet_count, report.octet_count] {
            word(value, out);
        }
        write_reports(reports, out);
    });
    write_cname(report.ssrc, cname, out);
}

/// Appends a receiver report (RFC 3550 section 6.4.2), followed by the SDES with `cname`, with the same limits as
/// [`write_sender_report`].
pub fn write_receiver_report(ssrc: u32, reports: &[ReceptionReport], cname: &str, out: &mut Vec<u8>) {
    let reports = at_most_31(reports);
    packet(reports.len() as u8, RECEIVER_REPORT, out, |out| {
        word(ssrc, out);
        write_reports(reports, out);
    });
    write_cname(ssrc, cname, out);
}

/// Appends the answer to a receiver's reference time (RFC 3611 section 4.5): `ntp_middle` as it came from `ssrc`, and how long
/// ago, in 1/65536 s.
pub fn write_reference_answer(sender_ssrc: u32, (ssrc, ntp_middle): (u32, u32), ago: u32, out: &mut Vec<u8>) {
    packet(0, EXTENDED_REPORT, out, |out| {
        word(sender_ssrc, out);
        // The block has three words more.
        word(u32::from(DELAY_SINCE_REFERENCE) << 24 | 3, out);
        for value in [ssrc, ntp_middle, ago] {
            word(value, out);
        }
    });
}

/// One chunk with one item (RFC 3550 section 6.5), ended by one to four zeros up to a whole word.
fn write_cname(source: u32, cname: &str, out: &mut Vec<u8>) {
    let text = &cname.as_bytes()[..cname.floor_char_boundary(MAX_CNAME_LEN)];
    packet(1, SOURCE_DESCRIPTION, out, |out| {
        word(source, out);
        out.extend([CNAME, text.len() as u8]);
        out.extend_from_slice(text);
        let zeros = 4 - (2 + text.len()) % 4;
        out.extend(std::iter::repeat_n(0, zeros));
    });
}

fn write_reports(reports: &[ReceptionReport], out: &mut Vec<u8>) {
    for report in reports {
        word(report.ssrc, out);
        word(u32::from(report.fraction_lost) << 24 | report.total_lost & 0x00FF_FFFF, out);
        word(report.highest_sequence_number, out);
        for value in [report.jitter, report.last_sender_report, report.delay] {
            word(value, out);
        }
    }
}

fn at_most_31(reports: &[ReceptionReport]) -> &[ReceptionReport] {
    &reports[..reports.len().min(MAX_REPORTS)]
}

/// Header, content in whole words, and then the length that it turned out to have.
pub(super) fn packet(format: u8, packet_type: u8, out: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend([VERSION_2 | format, packet_type, 0, 0]);
    content(out);
    let words = (out.len() - at) / 4 - 1;
    out[at + 2..at + 4].copy_from_slice(&(words as u16).to_be_bytes());
}

pub(super) fn word(value: u32, out: &mut Vec<u8>) {
    out.extend(value.to_be_bytes());
}

const VERSION_2: u8 = 0x80;
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
pub(super) const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;
const EXTENDED_REPORT: u8 = 207;
const DELAY_SINCE_REFERENCE: u8 = 5;
const GENERIC_NACK: u8 = 1;
const PLI: u8 = 1;
const CNAME: u8 = 1;
/// The five bits of the count.
const MAX_REPORTS: usize = 31;
const MAX_CNAME_LEN: usize = 255;
/// 812 bytes: one datagram.
const MAX_NACK_PAIRS: usize = 200;
