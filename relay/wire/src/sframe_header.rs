//! The SFrame header as anyone may read it (RFC 9605 section 4.3). Nothing here can open a frame.
//!
//! ```text
//!  0 1 2 3 4 5 6 7
//! +-+-+-+-+-+-+-+-+------------------------+------------------------+
//! |X|  K  |Y|  C  |  KID, K+1 bytes if X   |  CTR, C+1 bytes if Y   |
//! +-+-+-+-+-+-+-+-+------------------------+------------------------+
//! ```
//! A number below 8 stands in its three bits (X or Y is 0); a larger one follows in as few bytes as hold it.

/// Longest header in bytes.
pub const MAX_LEN: usize = 17;

/// Key id and counter of one sealed frame, and how many bytes told them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SframeHeader {
    /// Key id.
    pub kid: u64,
    /// Counter.
    pub ctr: u64,
    /// Length of the header in bytes, 1 to 17.
    pub len: usize,
}

/// Why bytes do not begin with a header that RFC 9605 allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SframeHeaderError {
    /// The bytes end before the header does.
    #[error("SFrame header is cut off")]
    Truncated,
    /// A number takes more bytes than it needs.
    #[error("SFrame header is not in its shortest form")]
    NotMinimal,
}

impl SframeHeader {
    /// Reads the header at the front of `bytes`; what follows it is not looked at.
    ///
    /// # Errors
    /// [`SframeHeaderError`].
    pub fn read(bytes: &[u8]) -> Result<Self, SframeHeaderError> {
        let (&config, rest) = bytes.split_first().ok_or(SframeHeaderError::Truncated)?;
        let (kid, rest) = read_number(config >> 4, rest)?;
        let (ctr, rest) = read_number(config & 0x0F, rest)?;
        Ok(Self { kid, ctr, len: bytes.len() - rest.len() })
    }

    /// Writes the shortest header for these numbers and returns its length. For tests and for load generators that
    /// imitate a publisher; what seals frames has its own writer.
    #[must_use]
    pub fn write(kid: u64, ctr: u64, out: &mut [u8; MAX_LEN]) -> usize {
        let mut len = 1;
        let high = write_number(kid, out, &mut len);
        let low = write_number(ctr, out, &mut len);
        out[0] = high << 4 | low;
        len
    }
}

/// Reads one number; `config` is its four bits: is-extended flag, then value or length less one.
fn read_number(config: u8, bytes: &[u8]) -> Result<(u64, &[u8]), SframeHeaderError> {
    let low = config & 0x07;
    if config & EXTENDED == 0 {
        return Ok((u64::from(low), bytes));
    }
    let (digits, rest) = bytes.split_at_checked(usize::from(low) + 1).ok_or(SframeHeaderError::Truncated)?;
    let value = digits.iter().fold(0, |value, &digit| value << 8 | u64::from(digit));
    if digits[0] == 0 || value < FIRST_EXTENDED {
        return Err(SframeHeaderError::NotMinimal);
    }
    Ok((value, rest))
}

fn write_number(value: u64, out: &mut [u8; MAX_LEN], at: &mut usize) -> u8 {
    if value < FIRST_EXTENDED {
        return value as u8;
    }
    let digits = value.to_be_bytes();
    let digits = &digits[value.leading_zeros() as usize / 8..];
    out[*at..*at + digits.len()].copy_from_slice(digits);
    *at += digits.len();
    EXTENDED | (digits.len() - 1) as u8
}

const EXTENDED: u8 = 0x08;
const FIRST_EXTENDED: u64 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn headers_of_the_rfc_9605_vectors() {
        // From the working group's test vectors (RFC 9605 appendix C.1): kid, ctr, header.
        for (kid, ctr, bytes) in [
            (0, 0, "00"),
            (0, 7, "07"),
            (0, 8, "0808"),
            (0, 0xff, "08ff"),
            (0, 0x100, "090100"),
            (0x7, 0x7, "77"),
            (0x8, 0, "8008"),
            (0xff, 0xffff, "89ffffff"),
            (0x0100, 0x0100, "9901000100"),
            (0xffff_ffff_ffff_ffff, 0xffff_ffff_ffff_ffff, "ffffffffffffffffffffffffffffffffff"),
        ] {
            let bytes = hex::decode(bytes).unwrap();
            let mut out = [0; MAX_LEN];
            let len = SframeHeader::write(kid, ctr, &mut out);
            assert_eq!(out[..len], bytes);
            assert_eq!(SframeHeader::read(&bytes), Ok(SframeHeader { kid, ctr, len }));
        }
    }

    #[test]
    fn longer_spellings_are_refused() {
        // A number below 8 with a byte of its own, and leading zero bytes, in either place.
        for bytes in [&[0x08, 0x07][..], &[0x80, 0x07], &[0x09, 0x00, 0xFF], &[0x90, 0x00, 0xFF]] {
            assert_eq!(SframeHeader::read(bytes), Err(SframeHeaderError::NotMinimal), "{bytes:x?}");
        }
        assert_eq!(SframeHeader::read(&[]), Err(SframeHeaderError::Truncated));
        assert_eq!(SframeHeader::read(&[0xE8, 1, 2]), Err(SframeHeaderError::Truncated));
    }

    proptest! {
        #[test]
        fn numbers_come_back_and_nothing_else_is_touched(kid: u64, ctr: u64, shift in 0u32..64) {
            for (kid, ctr) in [(kid, ctr), (kid >> shift, ctr), (kid, ctr >> shift)] {
                let mut out = [0; MAX_LEN];
                let len = SframeHeader::write(kid, ctr, &mut out);
                prop_assert_eq!(SframeHeader::read(&out), Ok(SframeHeader { kid, ctr, len }));
                prop_assert_eq!(SframeHeader::read(&out[..len - 1]).is_ok(), false);
            }
        }

        #[test]
        fn whatever_is_read_is_written_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            if let Ok(header) = SframeHeader::read(&bytes) {
                let mut out = [0; MAX_LEN];
                let len = SframeHeader::write(header.kid, header.ctr, &mut out);
                prop_assert_eq!(&out[..len], &bytes[..header.len]);
            }
        }
    }
}
