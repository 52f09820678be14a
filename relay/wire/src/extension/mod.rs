//! RTP header extensions (RFC 8285): read in both forms, written as one block of a wanted length.
//!
//! ```text
//! one-byte form, profile 0xBEDE          two-byte form, profile 0x1000
//! +------+------+------------+           +--------+--------+------------+
//! | id:4 | L:4  | L+1 bytes  |           |  id    |   L    |  L bytes   |
//! +------+------+------------+           +--------+--------+------------+
//! a zero byte between elements is padding in both
//! ```

mod kind;
mod value;

pub use kind::{ExtensionKind, ExtensionMap, IdTaken};
pub use value::{AbsCaptureTime, PlayoutDelay};

/// The extension block of a packet, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct ExtensionBlock<'a> {
    form: Option<Form>,
    data: &'a [u8],
}

impl<'a> ExtensionBlock<'a> {
    /// Wraps what follows the four bytes of profile and length. Of a profile that is neither form,
    /// no element is read.
    #[must_use]
    pub fn new(profile: u16, data: &'a [u8]) -> Self {
        Self { form: Form::of_profile(profile), data }
    }

    /// Returns id and value of each element in order, without padding. A cut-off element ends it.
    #[must_use]
    pub fn iter(&self) -> Elements<'a> {
        Elements { form: self.form, data: self.data }
    }

    /// Returns the value of the first element with this id.
    #[must_use]
    pub fn find(&self, id: u8) -> Option<&'a [u8]> {
        self.iter().find_map(|(found, value)| (found == id).then_some(value))
    }
}

impl<'a> IntoIterator for ExtensionBlock<'a> {
    type Item = (u8, &'a [u8]);
    type IntoIter = Elements<'a>;

    fn into_iter(self) -> Elements<'a> {
        self.iter()
    }
}

/// Iterator over the elements of an [`ExtensionBlock`].
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    form: Option<Form>,
    data: &'a [u8],
}

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let form = self.form?;
        while let [0, rest @ ..] = self.data {
            self.data = rest;
        }
        let (id, len, rest) = match (form, self.data) {
            // Id 15, and id 0 with a length, end the list whatever follows (RFC 8285 section 4.2).
            (Form::OneByte, [head, rest @ ..]) if (1..RESERVED_ID).contains(&(head >> 4)) => {
                (head >> 4, usize::from(head & 0x0F) + 1, rest)
            }
            (Form::TwoByte, [id, len, rest @ ..]) => (*id, usize::from(*len), rest),
            _ => (0, usize::MAX, &[][..]),
        };
        let Some((value, rest)) = rest.split_at_checked(len) else {
            self.data = &[];
            return None;
        };
        self.data = rest;
        Some((id, value))
    }
}

/// Why a block was not written. The fault is the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteBlockError {
    /// The buffer is shorter than the block.
    #[error("no room for the extension block")]
    NoRoom,
    /// An id is 0, or a value longer than 255 bytes.
    #[error("extension element has id 0 or more than 255 bytes")]
    Element,
}

/// Returns the length in bytes, head included, of the block that [`write_block`] makes of these elements.
#[must_use]
pub fn block_len(elements: &[(u8, &[u8])]) -> usize {
    let head = Form::for_elements(elements).element_head_len();
    let data: usize = elements.iter().map(|(_, value)| head + value.len()).sum();
    BLOCK_HEAD_LEN + data.next_multiple_of(4)
}

/// Writes profile, length, the elements in this order, and zero bytes until the block is `padded_len` long
/// (rounded up to whole words; shorter than needed means no more padding than to a word).
///
/// Takes the one-byte form where it can hold all elements (ids 1 to 14, 1 to 16 bytes each), else the two-byte
/// form. Returns the length written.
///
/// # Errors
/// [`WriteBlockError`]; `out` may then hold part of a block.
pub fn write_block(
    elements: &[(u8, &[u8])],
    padded_len: usize,
    out: &mut [u8],
) -> Result<usize, WriteBlockError> {
    if elements.iter().any(|(id, value)| *id == 0 || value.len() > 255) {
        return Err(WriteBlockError::Element);
    }
    let form = Form::for_elements(elements);
    let len = block_len(elements).max(padded_len.next_multiple_of(4));
    let out = out.get_mut(..len).ok_or(WriteBlockError::NoRoom)?;
    let words = u16::try_from((len - BLOCK_HEAD_LEN) / 4).map_err(|_| WriteBlockError::NoRoom)?;
    out[..2].copy_from_slice(&form.profile().to_be_bytes());
    out[2..4].copy_from_slice(&words.to_be_bytes());
    let mut at = BLOCK_HEAD_LEN;
    for (id, value) in elements {
        match form {
            Form::OneByte => out[at] = id << 4 | (value.len() - 1) as u8,
            Form::TwoByte => out[at..at + 2].copy_from_slice(&[*id, value.len() as u8]),
        }
        at += form.element_head_len();
        out[at..at + value.len()].copy_from_slice(value);
        at += value.len();
    }
    out[at..].fill(0);
    Ok(len)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    OneByte,
    TwoByte,
}

impl Form {
    fn of_profile(profile: u16) -> Option<Self> {
        match profile {
            ONE_BYTE_PROFILE => Some(Self::OneByte),
            // The low four bits are free for the application (RFC 8285 section 4.3).
            _ if profile & 0xFFF0 == TWO_BYTE_PROFILE => Some(Self::TwoByte),
            _ => None,
        }
    }

    fn for_elements(elements: &[(u8, &[u8])]) -> Self {
        let fits = |(id, value): &(u8, &[u8])| *id < RESERVED_ID && (1..=16).contains(&value.len());
        if elements.iter().all(fits) { Self::OneByte } else { Self::TwoByte }
    }

    const fn profile(self) -> u16 {
        match self {
            Self::OneByte => ONE_BYTE_PROFILE,
            Self::TwoByte => TWO_BYTE_PROFILE,
        }
    }

    const fn element_head_len(self) -> usize {
        match self {
            Self::OneByte => 1,
            Self::TwoByte => 2,
        }
    }
}

const ONE_BYTE_PROFILE: u16 = 0xBEDE;
const TWO_BYTE_PROFILE: u16 = 0x1000;
const RESERVED_ID: u8 = 15;
const BLOCK_HEAD_LEN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(block: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let profile = u16::from_be_bytes([block[0], block[1]]);
        ExtensionBlock::new(profile, &block[4..]).iter().map(|(id, value)| (id, value.to_vec())).collect()
    }

    #[test]
    fn the_examples_of_rfc_8285_are_read() {
        // Section 4.2: lengths 0 and 1, padding within and at the end, then a four-byte element.
        let one = [0xBE, 0xDE, 0, 3, 0x10, 7, 0x21, 8, 8, 0, 0, 0x33, 9, 9, 9, 9];
        assert_eq!(read(&one), [(1, vec![7]), (2, vec![8, 8]), (3, vec![9; 4])]);
        // Section 4.3: an empty element, one byte, padding, four bytes.
        let two = [0x10, 0, 0, 3, 1, 0, 2, 1, 7, 0, 3, 4, 9, 9, 9, 9];
        assert_eq!(read(&two), [(1, vec![]), (2, vec![7]), (3, vec![9; 4])]);
    }

    #[test]
    fn reserved_id_foreign_profile_and_cut_elements_end_the_list() {
        assert_eq!(read(&[0xBE, 0xDE, 0, 1, 0x10, 7, 0xF0, 0x10]), [(1, vec![7])]);
        assert_eq!(read(&[0xBE, 0xDE, 0, 2, 0x10, 7, 0x01, 9, 9, 0x20, 8, 0]), [(1, vec![7])]);
        assert_eq!(read(&[0xAB, 0xAC, 0, 1, 0x10, 7, 0x10, 7]), []);
        assert_eq!(read(&[0xBE, 0xDE, 0, 1, 0x10, 7, 0x33, 1]), [(1, vec![7])]);
        assert_eq!(read(&[0x10, 0x05, 0, 1, 9]), []);
    }

    #[test]
    fn a_block_is_padded_to_the_wanted_length() {
        let mut out = [0xFF; 40];
        assert_eq!(write_block(&[(1, b"a"), (4, b"bc")], 24, &mut out), Ok(24));
        assert_eq!(out[..12], [0xBE, 0xDE, 0, 5, 0x10, b'a', 0x41, b'b', b'c', 0, 0, 0]);
        assert_eq!(out[12..24], [0; 12]);
        assert_eq!(read(&out[..24]), [(1, b"a".to_vec()), (4, b"bc".to_vec())]);
        assert_eq!(write_block(&[], 0, &mut out), Ok(4));
        assert_eq!(write_block(&[(1, b"a")], 0, &mut out[..7]), Err(WriteBlockError::NoRoom));
        assert_eq!(write_block(&[(0, b"a")], 0, &mut out), Err(WriteBlockError::Element));
    }

    proptest! {
        #[test]
        fn elements_come_back(
            elements in proptest::collection::vec((1u8..=255, proptest::collection::vec(any::<u8>(), 0..40)), 0..6),
            padded_len in 0usize..200,
        ) {
            let borrowed: Vec<_> = elements.iter().map(|(id, value)| (*id, &value[..])).collect();
            let mut out = [0xFF; 512];
            let len = write_block(&borrowed, padded_len, &mut out).unwrap();
            prop_assert!(len >= padded_len && len.is_multiple_of(4));
            prop_assert_eq!(read(&out[..len]), elements);
        }

        #[test]
        fn any_bytes_are_read_without_panic(profile: u16, data in proptest::collection::vec(any::<u8>(), 0..64)) {
            for profile in [profile, ONE_BYTE_PROFILE, TWO_BYTE_PROFILE] {
                let block = ExtensionBlock::new(profile, &data);
                prop_assert!(block.iter().all(|(id, value)| id != 0 && value.len() <= data.len()));
            }
        }
    }
}
