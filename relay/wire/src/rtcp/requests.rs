//! What a viewer asks for and reports, read where it lies: a relay gets many of these, and allocates for none.

use super::read::{EXTENDED_REPORT, PAYLOAD_FEEDBACK, Packet, RECEIVER_REPORT, TRANSPORT_FEEDBACK};
use super::{RtcpError, TransportFeedback};

/// What a receiver asks of who sends to it, and tells it about the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request<'a> {
    /// Packets that did not come (RFC 4585 section 6.2.1).
    Packets {
        /// Whose packets.
        media_ssrc: u32,
        /// Their sequence numbers.
        lost: Lost<'a>,
    },
    /// A key frame is wanted: PLI (RFC 4585 section 6.3.1), or one entry of an FIR (RFC 5104 section 4.3.1).
    KeyFrame {
        /// Of which stream.
        media_ssrc: u32,
    },
    /// When packets came (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    Arrivals(TransportFeedback<'a>),
    /// One block of a receiver report (RFC 3550 section 6.4.2).
    Reception {
        /// Of which stream.
        media_ssrc: u32,
        /// Part of its packets lost since the last report, in 1/256.
        fraction_lost: u8,
    },
    /// Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb) of everything sent to it.
    MostBits {
        /// Bits per second.
        bits_per_second: u64,
    },
    /// A receiver that sends nothing says what time it has, to learn the round trip from the answer (RFC 3611 section 4.4).
    ReferenceTime {
        /// Who asks.
        ssrc: u32,
        /// The middle 32 bits of its NTP time.
        ntp_middle: u32,
    },
}

/// The sequence numbers of a generic NACK in the order named: pairs of a number and 16 bits for those that follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost<'a>(&'a [[u8; 4]]);

/// Calls `each` for every request of a compound (opened, without SRTCP trailer); everything else in it is passed over.
///
/// # Errors
/// [`RtcpError`]; the requests before the bad packet have been seen then.
pub fn requests<'a>(compound: &'a [u8], mut each: impl FnMut(Request<'a>)) -> Result<(), RtcpError> {
    if compound.is_empty() {
        return Err(RtcpError::Truncated);
    }
    let mut rest = compound;
    while !rest.is_empty() {
        let (packet, after) = Packet::split(rest)?;
        rest = after;
        match (packet.packet_type, packet.format) {
            (TRANSPORT_FEEDBACK, GENERIC_NACK) => {
                let (media_ssrc, pairs) = media(packet.body)?;
                let (pairs, []) = pairs.as_chunks::<4>() else { return Err(RtcpError::Malformed) };
                each(Request::Packets { media_ssrc, lost: Lost(pairs) });
            }
            (PAYLOAD_FEEDBACK, PLI) => each(Request::KeyFrame { media_ssrc: media(packet.body)?.0 }),
            (PAYLOAD_FEEDBACK, FIR) => {
                // The media SSRC of the head is unused; each entry names its own.
                let (entries, []) = media(packet.body)?.1.as_chunks::<8>() else {
                    return Err(RtcpError::Malformed);
                };
                for [a, b, c, d, ..] in entries {
                    each(Request::KeyFrame { media_ssrc: u32::from_be_bytes([*a, *b, *c, *d]) });
                }
            }
            (TRANSPORT_FEEDBACK, TRANSPORT_WIDE) => {
                each(Request::Arrivals(TransportFeedback::read(packet.body)?));
            }
            (PAYLOAD_FEEDBACK, APPLICATION) if packet.body.get(8..12) == Some(b"REMB") => {
                each(Request::MostBits { bits_per_second: packet.remb()?.0 });
            }
            (RECEIVER_REPORT, count) => {
                let (blocks, _) = packet.body.get(4..).ok_or(RtcpError::Malformed)?.as_chunks::<24>();
                let blocks = blocks.get(..usize::from(count)).ok_or(RtcpError::Malformed)?;
                for [a, b, c, d, fraction_lost, ..] in blocks {
                    let media_ssrc = u32::from_be_bytes([*a, *b, *c, *d]);
                    each(Request::Reception { media_ssrc, fraction_lost: *fraction_lost });
                }
            }
            (EXTENDED_REPORT, _) => {
                let (ssrc, mut blocks) = packet.body.split_first_chunk::<4>().ok_or(RtcpError::Malformed)?;
                while let Some(([kind, _, length @ ..], after)) = blocks.split_first_chunk::<4>() {
                    let len = 4 * usize::from(u16::from_be_bytes(*length));
                    let (content, after) = after.split_at_checked(len).ok_or(RtcpError::Malformed)?;
                    if let (REFERENCE_TIME, [_, _, middle @ .., _, _]) = (*kind, content)
                        && let Ok(middle) = middle.try_into()
                    {
                        let ntp_middle = u32::from_be_bytes(middle);
                        each(Request::ReferenceTime { ssrc: u32::from_be_bytes(*ssrc), ntp_middle });
                    }
                    blocks = after;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

impl Iterator for LostIter<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        if self.bits == 0 {
            let ([high, low, following @ ..], rest) = self.pairs.split_first()?;
            (self.pairs, self.first) = (rest, u16::from_be_bytes([*high, *low]));
            // Bit 0 is the number itself.
            self.bits = u32::from(u16::from_be_bytes(*following)) << 1 | 1;
        }
        let offset = self.bits.trailing_zeros();
        self.bits &= self.bits - 1;
        Some(self.first.wrapping_add(offset as u16))
    }
}

/// Walks the numbers of a [`Lost`].
#[derive(Debug, Clone)]
pub struct LostIter<'a> {
    pairs: &'a [[u8; 4]],
    first: u16,
    bits: u32,
}

impl<'a> IntoIterator for Lost<'a> {
    type Item = u16;
    type IntoIter = LostIter<'a>;

    fn into_iter(self) -> LostIter<'a> {
        LostIter { pairs: self.0, first: 0, bits: 0 }
    }
}

/// Media SSRC and content of a feedback packet (RFC 4585 section 6.1).
fn media(body: &[u8]) -> Result<(u32, &[u8]), RtcpError> {
    let ([_, _, _, _, ssrc @ ..], content) = body.split_first_chunk::<8>().ok_or(RtcpError::Malformed)?;
    Ok((u32::from_be_bytes(*ssrc), content))
}

const GENERIC_NACK: u8 = 1;
const PLI: u8 = 1;
const FIR: u8 = 4;
const TRANSPORT_WIDE: u8 = 15;
const APPLICATION: u8 = 15;
/// Block type of a receiver reference time report.
const REFERENCE_TIME: u8 = 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rtc_rtcp::extended_report::{DLRRReportBlock, ExtendedReport, ReceiverReferenceTimeReportBlock};
    use rtc_rtcp::packet::Packet;
    use rtc_shared::marshal::Marshal;

    use super::*;
    use crate::rtcp::{RtcpMessage, parse, write_nack, write_pli, write_receiver_report};

    /// Key frames by SSRC, and packets by SSRC, in order.
    type Asked = (Vec<u32>, Vec<(u32, u16)>);

    fn asked(compound: &[u8]) -> (Asked, Result<(), RtcpError>) {
        let mut asked = Asked::default();
        let done = requests(compound, |request| match request {
            Request::KeyFrame { media_ssrc } => asked.0.push(media_ssrc),
            Request::Packets { media_ssrc, lost } => {
                asked.1.extend(lost.into_iter().map(|sequence| (media_ssrc, sequence)));
            }
            Request::Arrivals(feedback) => drop(feedback.packets().count()),
            Request::Reception { .. } | Request::MostBits { .. } | Request::ReferenceTime { .. } => {}
        });
        (asked, done)
    }

    fn by_the_library(compound: &[u8]) -> Option<Asked> {
        let (mut messages, mut asked) = (Vec::new(), Asked::default());
        parse(compound, &mut messages).ok()?;
        for message in messages {
            match message {
                RtcpMessage::Pli { media_ssrc, .. } => asked.0.push(media_ssrc),
                RtcpMessage::Fir { media_ssrcs, .. } => asked.0.extend(media_ssrcs),
                RtcpMessage::Nack { media_ssrc, lost, .. } => {
                    asked.1.extend(lost.into_iter().map(|sequence| (media_ssrc, sequence)));
                }
                _ => {}
            }
        }
        Some(asked)
    }

    #[test]
    fn a_full_intra_request_names_its_streams() {
        let fir = [0x84, 206, 0, 6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 1, 0, 0, 0, 0, 0, 0, 9, 1, 0, 0, 0];
        assert_eq!(asked(&fir), ((vec![7, 9], vec![]), Ok(())));
        assert_eq!(by_the_library(&fir), Some((vec![7, 9], vec![])));
        assert_eq!(asked(&fir[..24]).1, Err(RtcpError::Truncated));
    }

    #[test]
    fn a_receivers_time_is_found_among_other_blocks() {
        let with =
            |blocks: Vec<Box<dyn Packet>>| ExtendedReport { sender_ssrc: 7, reports: blocks }.marshal();
        let time = Box::new(ReceiverReferenceTimeReportBlock { ntp_timestamp: 0x1122_3344_5566_7788 });
        let report = with(vec![Box::new(DLRRReportBlock { reports: Vec::new() }), time]).unwrap();
        let mut found = Vec::new();
        requests(&report, |request| found.push(request)).unwrap();
        assert_eq!(found, [Request::ReferenceTime { ssrc: 7, ntp_middle: 0x3344_5566 }]);
        let mut cut = report.to_vec();
        let last = cut.len() - 12;
        // The last block says that it is longer than what is left.
        cut[last + 3] = 9;
        assert_eq!(requests(&cut, |_| {}), Err(RtcpError::Malformed));
    }

    proptest! {
        /// What the library finds in what is written is found here.
        #[test]
        fn the_library_agrees(
            ssrc: u32,
            mut lost in prop::collection::vec(any::<u16>(), 1..60),
            key_frame: bool,
        ) {
            lost.sort_unstable();
            lost.dedup();
            let mut compound = Vec::new();
            write_receiver_report(1, &[], "viewer", &mut compound);
            write_nack(1, ssrc, &lost, &mut compound);
            if key_frame {
                write_pli(1, ssrc, &mut compound);
            }
            let (asked, done) = asked(&compound);
            prop_assert_eq!(done, Ok(()));
            prop_assert_eq!(asked.1.iter().map(|(_, sequence)| *sequence).collect::<Vec<_>>(), lost);
            prop_assert_eq!(Some(asked), by_the_library(&compound));
        }

        /// Whatever comes: no panic, and where the library reads it all, the same requests.
        #[test]
        fn any_bytes(body in prop::collection::vec(any::<u8>(), 0..64), kind in 200u8..208, format in 0u8..32) {
            let mut compound = vec![0x80 | format, kind, 0, (body.len() / 4) as u8];
            compound.extend(&body[..body.len() / 4 * 4]);
            let (asked, done) = asked(&compound);
            if let Some(found) = by_the_library(&compound)
                && done.is_ok()
            {
                prop_assert_eq!(asked, found);
            }
            let _ = requests(&body, |_| {});
        }
    }
}
