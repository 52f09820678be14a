//! RTP packets (RFC 3550 section 5.1): a borrowed view, changes in place, and a header writer.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |V=2|P|X|  CC   |M|     PT      |       sequence number         |
//! |                           timestamp                           |
//! |                             SSRC                              |
//! |                     CSRC, CC of them                          |
//! |      profile (X = 1)          |       length in words         |
//! |                     header extensions                         |
//! ```

use crate::extension::ExtensionBlock;

/// Bytes of a header without CSRCs and extensions.
pub const FIXED_HEADER_LEN: usize = 12;

/// Why bytes are not an RTP packet. The fault is the peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RtpError {
    /// The datagram ends before the header does.
    #[error("RTP packet is cut off")]
    Truncated,
    /// The version is not 2.
    #[error("not RTP version 2")]
    Version,
    /// The padding count is zero or larger than what follows the header.
    #[error("RTP padding count is impossible")]
    Padding,
}

/// Returns whether a datagram of the RTP range is RTCP: its second byte is 192 to 223 (RFC 5761 section 4).
///
/// False for anything shorter than two bytes.
#[must_use]
pub fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram.get(1), Some(192..=223))
}

/// A checked look at one RTP packet. Reading from it never fails and copies nothing.
#[derive(Debug, Clone, Copy)]
pub struct RtpView<'a> {
    bytes: &'a [u8],
    header_len: usize,
    payload_end: usize,
}

impl<'a> RtpView<'a> {
    /// Checks a packet in the clear (before seal or after open), its padding included.
    ///
    /// # Errors
    /// [`RtpError`] when the bytes are no RTP packet.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RtpError> {
        let mut view = Self::parse_sealed(bytes)?;
        if bytes[0] & PADDING_BIT != 0 {
            let count = usize::from(*bytes.last().ok_or(RtpError::Truncated)?);
            if count == 0 || count > bytes.len() - view.header_len {
                return Err(RtpError::Padding);
            }
            view.payload_end -= count;
        }
        Ok(view)
    }

    /// Checks the header only. In an SRTP packet the padding count is still ciphertext, so
    /// [`payload`](Self::payload) is all that follows the header, the authentication tag too.
    ///
    /// # Errors
    /// [`RtpError::Truncated`] or [`RtpError::Version`].
    pub fn parse_sealed(bytes: &'a [u8]) -> Result<Self, RtpError> {
        if bytes.len() < FIXED_HEADER_LEN {
            return Err(RtpError::Truncated);
        }
        if bytes[0] >> 6 != 2 {
            return Err(RtpError::Version);
        }
        let mut header_len = FIXED_HEADER_LEN + 4 * usize::from(bytes[0] & CSRC_COUNT_MASK);
        if bytes[0] & EXTENSION_BIT != 0 {
            let words = bytes.get(header_len + 2..header_len + 4).ok_or(RtpError::Truncated)?;
            header_len += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
        }
        if header_len > bytes.len() {
            return Err(RtpError::Truncated);
        }
        Ok(Self { bytes, header_len, payload_end: bytes.len() })
    }

    /// Returns the marker bit: for video, the last packet of a frame.
    #[must_use]
    pub fn marker(&self) -> bool {
        self.bytes[1] & MARKER_BIT != 0
    }

    /// Returns the payload type, 0 to 127.
    #[must_use]
    pub fn payload_type(&self) -> u8 {
        self.bytes[1] & !MARKER_BIT
    }

    /// Returns the sequence number.
    #[must_use]
    pub fn sequence_number(&self) -> u16 {
        u16::from_be_bytes([self.bytes[2], self.bytes[3]])
    }

    /// Returns the timestamp in ticks of the codec's clock.
    #[must_use]
    pub fn timestamp(&self) -> u32 {
        u32::from_be_bytes([self.bytes[4], self.bytes[5], self.bytes[6], self.bytes[7]])
    }

    /// Returns the synchronisation source.
    #[must_use]
    pub fn ssrc(&self) -> u32 {
        u32::from_be_bytes([self.bytes[8], self.bytes[9], self.bytes[10], self.bytes[11]])
    }

    /// Returns the fixed fields as a header that can be written elsewhere.
    #[must_use]
    pub fn header(&self) -> RtpHeader {
        RtpHeader {
            marker: self.marker(),
            payload_type: self.payload_type(),
            sequence_number: self.sequence_number(),
            timestamp: self.timestamp(),
            ssrc: self.ssrc(),
        }
    }

    /// Returns the length of the whole header in bytes, CSRCs and extension block included.
    #[must_use]
    pub fn header_len(&self) -> usize {
        self.header_len
    }

    /// Returns the extension block, or `None` when the X bit is not set.
    #[must_use]
    pub fn extension(&self) -> Option<ExtensionBlock<'a>> {
        if self.bytes[0] & EXTENSION_BIT == 0 {
            return None;
        }
        let start = FIXED_HEADER_LEN + 4 * usize::from(self.bytes[0] & CSRC_COUNT_MASK);
        let profile = u16::from_be_bytes([self.bytes[start], self.bytes[start + 1]]);
        Some(ExtensionBlock::new(profile, &self.bytes[start + 4..self.header_len]))
    }

    /// Returns the payload without padding; empty for a padding-only packet.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[self.header_len..self.payload_end]
    }
}

/// The fixed fields of a header to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpHeader {
    /// The marker bit.
    pub marker: bool,
    /// The payload type; its top bit is ignored.
    pub payload_type: u8,
    /// The sequence number.
    pub sequence_number: u16,
    /// The timestamp in ticks of the codec's clock.
    pub timestamp: u32,
    /// The synchronisation source.
    pub ssrc: u32,
}

impl RtpHeader {
    /// Writes twelve bytes (no CSRC, no padding) and returns the rest of `out`, or `None` when `out` is shorter.
    ///
    /// With `extension` the X bit is set, and the caller writes the block into the rest, as
    /// [`extension::write_block`](crate::extension::write_block) does.
    #[must_use]
    pub fn write<'a>(&self, extension: bool, out: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (header, rest) = out.split_first_chunk_mut::<FIXED_HEADER_LEN>()?;
        header[0] = VERSION_2 | if extension { EXTENSION_BIT } else { 0 };
        header[1] = self.payload_type & !MARKER_BIT | if self.marker { MARKER_BIT } else { 0 };
        header[2..4].copy_from_slice(&self.sequence_number.to_be_bytes());
        header[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        header[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        Some(rest)
    }
}

/// The fixed fields of a packet that is already there, to be changed in place.
#[derive(Debug)]
pub struct RtpHeaderMut<'a>(&'a mut [u8; FIXED_HEADER_LEN]);

impl<'a> RtpHeaderMut<'a> {
    /// Opens a packet for changes; `None` when it is too short or not version 2.
    #[must_use]
    pub fn new(packet: &'a mut [u8]) -> Option<Self> {
        let header = packet.first_chunk_mut::<FIXED_HEADER_LEN>()?;
        (header[0] >> 6 == 2).then_some(Self(header))
    }

    /// Sets the marker bit.
    pub fn set_marker(&mut self, marker: bool) {
        self.0[1] = self.0[1] & !MARKER_BIT | if marker { MARKER_BIT } else { 0 };
    }

    /// Sets the payload type; its top bit is ignored.
    pub fn set_payload_type(&mut self, payload_type: u8) {
        self.0[1] = self.0[1] & MARKER_BIT | payload_type & !MARKER_BIT;
    }

    /// Sets the sequence number.
    pub fn set_sequence_number(&mut self, sequence_number: u16) {
        self.0[2..4].copy_from_slice(&sequence_number.to_be_bytes());
    }

    /// Sets the timestamp.
    pub fn set_timestamp(&mut self, timestamp: u32) {
        self.0[4..8].copy_from_slice(&timestamp.to_be_bytes());
    }

    /// Sets the synchronisation source.
    pub fn set_ssrc(&mut self, ssrc: u32) {
        self.0[8..12].copy_from_slice(&ssrc.to_be_bytes());
    }
}

const VERSION_2: u8 = 0x80;
const PADDING_BIT: u8 = 0x20;
const EXTENSION_BIT: u8 = 0x10;
const CSRC_COUNT_MASK: u8 = 0x0F;
const MARKER_BIT: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extension;
    use proptest::prelude::*;

    fn header() -> RtpHeader {
        RtpHeader {
            marker: true,
            payload_type: 102,
            sequence_number: 0xFFFE,
            timestamp: 0x0102_0304,
            ssrc: 0xAABB_CCDD,
        }
    }

    #[test]
    fn a_written_header_is_read_back() {
        let mut packet = [0; 64];
        let rest = header().write(true, &mut packet).unwrap();
        let block = extension::write_block(&[(1, b"0"), (3, &[0xC0, 0, 7])], 16, rest).unwrap();
        let len = FIXED_HEADER_LEN + block + 5;
        packet[len - 5..len].copy_from_slice(b"hello");
        let view = RtpView::parse(&packet[..len]).unwrap();
        assert_eq!(view.header(), header());
        assert_eq!(view.header_len(), FIXED_HEADER_LEN + 16);
        assert_eq!(view.extension().unwrap().find(3), Some(&[0xC0, 0, 7][..]));
        assert_eq!(view.payload(), b"hello");
        assert!(!is_rtcp(&packet));
    }

    #[test]
    fn fields_change_in_place_and_nothing_else() {
        let mut packet = [0xEE; 20];
        let _ = header().write(false, &mut packet).unwrap();
        let mut fields = RtpHeaderMut::new(&mut packet).unwrap();
        fields.set_marker(false);
        fields.set_payload_type(0xFF);
        fields.set_sequence_number(1);
        fields.set_timestamp(2);
        fields.set_ssrc(3);
        let view = RtpView::parse(&packet).unwrap();
        let want = RtpHeader { marker: false, payload_type: 127, sequence_number: 1, timestamp: 2, ssrc: 3 };
        assert_eq!(view.header(), want);
        assert_eq!(view.payload(), [0xEE; 8]);
    }

    #[test]
    fn csrcs_and_padding_are_skipped() {
        let mut packet = vec![0xA2, 0x60, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        packet.extend([9; 8]);
        packet.extend([0x55, 0x66, 0, 0, 3]);
        let view = RtpView::parse(&packet).unwrap();
        assert_eq!(view.payload(), [0x55, 0x66]);
        assert_eq!(view.header_len(), 20);
        *packet.last_mut().unwrap() = 5;
        assert_eq!(RtpView::parse(&packet).unwrap().payload(), b"", "padding only");
        for impossible in [0, 6, 255] {
            *packet.last_mut().unwrap() = impossible;
            assert_eq!(RtpView::parse(&packet).unwrap_err(), RtpError::Padding);
            assert_eq!(RtpView::parse_sealed(&packet).unwrap().payload().len(), 5);
        }
    }

    #[test]
    fn cut_and_foreign_packets_are_refused() {
        let packet = [0x91, 0x60, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 9, 9, 9, 9, 0xBE, 0xDE, 0, 1, 0x10, 1, 0, 0];
        assert!(RtpView::parse(&packet).is_ok());
        for len in 0..packet.len() {
            assert_eq!(RtpView::parse(&packet[..len]).unwrap_err(), RtpError::Truncated, "{len} bytes");
        }
        assert_eq!(RtpView::parse(&[0x40; 12]).unwrap_err(), RtpError::Version);
        assert!(RtpHeaderMut::new(&mut [0x40; 12]).is_none());
        assert!(is_rtcp(&[0x80, 200]) && is_rtcp(&[0x80, 206]) && !is_rtcp(&[0x80]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            for bytes in [&bytes[..], &[&[0x91u8], &bytes[..]].concat()] {
                if let Ok(view) = RtpView::parse(bytes) {
                    prop_assert!(view.header_len() + view.payload().len() <= bytes.len());
                    if let Some(block) = view.extension() {
                        block.iter().for_each(|(_, value)| assert!(value.len() <= 255));
                    }
                }
            }
        }
    }
}
