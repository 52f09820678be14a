//! What a datagram is, by its first byte (RFC 9443 section 3, RFC 7983) and, for RTCP, its second (RFC 5761 section 4).

use latchkey_wire::rtp::is_rtcp;

/// Protocols that share the relay's UDP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Stun,
    Dtls,
    Rtp,
    Rtcp,
}

/// Names the protocol; `None` for everything that the relay does not speak.
#[inline]
pub(crate) fn classify(datagram: &[u8]) -> Option<Protocol> {
    match datagram.first()? {
        0..=3 => Some(Protocol::Stun),
        20..=63 => Some(Protocol::Dtls),
        128..=191 if is_rtcp(datagram) => Some(Protocol::Rtcp),
        128..=191 => Some(Protocol::Rtp),
        _ => None,
    }
}

/// Whether a datagram of a connected peer has to be handled at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    Now,
    /// Some milliseconds are nothing to it.
    Soon,
}

/// How urgent a datagram of a connected peer is. Checks, reports and what tells of arrivals can wait; what asks for packets or a
/// key frame cannot. Of a compound packet only the head of the first one can be read (RFC 3711 section 3.4): where a wish
/// follows a report, it waits with it.
pub(crate) fn urgency(datagram: &[u8]) -> Urgency {
    let can_wait = match (classify(datagram), datagram) {
        (Some(Protocol::Stun), _) => true,
        (Some(Protocol::Rtcp), [_, SENDER_REPORT | RECEIVER_REPORT | EXTENDED_REPORT, ..]) => true,
        (Some(Protocol::Rtcp), [first, TRANSPORT_FEEDBACK, ..]) => first & 0x1F == ARRIVALS,
        _ => false,
    };
    if can_wait { Urgency::Soon } else { Urgency::Now }
}

/// RTCP packet types (RFC 3550 section 12.1, RFC 3611, RFC 4585 section 6.1).
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const EXTENDED_REPORT: u8 = 207;
const TRANSPORT_FEEDBACK: u8 = 205;
/// Its format for transport-wide congestion control (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1).
const ARRIVALS: u8 = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_first_byte_has_one_meaning() {
        for first in 0..=255u8 {
            let expected = match first {
                0..=3 => Some(Protocol::Stun),
                20..=63 => Some(Protocol::Dtls),
                128..=191 => Some(Protocol::Rtp),
                _ => None,
            };
            assert_eq!(classify(&[first, 96]), expected, "{first}");
        }
        assert_eq!(classify(&[128, 200]), Some(Protocol::Rtcp));
        assert_eq!(classify(&[128, 0xE0]), Some(Protocol::Rtp), "payload type 96 with marker");
        assert_eq!(classify(&[]), None);
        assert_eq!(classify(&[128]), Some(Protocol::Rtp));
    }

    #[test]
    fn only_what_asks_for_something_is_urgent_among_control_packets() {
        let soon: [&[u8]; 6] =
            [&[0, 1], &[0x80, 200], &[0x81, 201], &[0x80, 207], &[0x8F, 205], &[0xAF, 205]];
        // NACK, PLI, BYE, DTLS, RTP, nothing.
        let now: [&[u8]; 6] = [&[0x81, 205], &[0x81, 206], &[0x81, 203], &[22, 254], &[0x80, 96], &[]];
        assert!(soon.iter().all(|datagram| urgency(datagram) == Urgency::Soon));
        assert!(now.iter().all(|datagram| urgency(datagram) == Urgency::Now));
    }
}
