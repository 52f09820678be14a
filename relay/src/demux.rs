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
}
