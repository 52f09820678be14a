//! Reads of an MLS message what a delivery service may know: group id, epoch, content type (RFC 9420 section 6).
//!
//! ```text
//! MLSMessage:      version u16 = 1 | wire_format u16 | …
//! PublicMessage:   group_id<V> | epoch u64 | sender (type u8 [, index u32]) | authenticated_data<V> | content_type u8 | …
//! PrivateMessage:  group_id<V> | epoch u64 | content_type u8 | …
//! ```
//! `<V>` is a byte string behind a variable-size length (section 2.1.2). Nothing after the content type is read.

use latchkey_api::group::MessageKind;
use latchkey_api::id::GroupId;

/// What stands in the clear at the front of a group message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The group, in this project's form.
    pub group: GroupId,
    /// The epoch the message was sent in.
    pub epoch: u64,
    /// Application, proposal or commit.
    pub kind: MessageKind,
    /// True when the content is encrypted (`PrivateMessage`).
    pub private: bool,
}

/// Reads the header of a `PublicMessage` or `PrivateMessage` sent by a member.
///
/// # Errors
/// [`FramingError`], always the sender's fault. Senders outside the group (external, new member) are refused:
/// nobody joins a camera's group but by a commit of a member.
pub fn read_header(message: &[u8]) -> Result<Header, FramingError> {
    let mut reader = Reader(message);
    let wire_format = read_wire_format(&mut reader)?;
    let private = match wire_format {
        WIRE_FORMAT_PUBLIC => false,
        WIRE_FORMAT_PRIVATE => true,
        _ => return Err(FramingError::WrongKind),
    };
    let group = GroupId::try_from(reader.vector()?).map_err(|_| FramingError::ForeignGroupId)?;
    let epoch = reader.u64()?;
    if !private {
        match reader.u8()? {
            SENDER_MEMBER => reader.take(4)?,
            SENDER_EXTERNAL | SENDER_NEW_MEMBER_PROPOSAL | SENDER_NEW_MEMBER_COMMIT => {
                return Err(FramingError::SenderNotMember);
            }
            _ => return Err(FramingError::Malformed),
        };
        reader.vector()?;
    }
    let kind = match reader.u8()? {
        CONTENT_APPLICATION => MessageKind::Application,
        CONTENT_PROPOSAL => MessageKind::Proposal,
        CONTENT_COMMIT => MessageKind::Commit,
        _ => return Err(FramingError::Malformed),
    };
    if reader.0.is_empty() {
        return Err(FramingError::Truncated);
    }
    Ok(Header { group, epoch, kind, private })
}

/// Checks that the bytes are framed as a `Welcome`.
///
/// # Errors
/// [`FramingError`] when they are not.
pub fn check_welcome(message: &[u8]) -> Result<(), FramingError> {
    check_format(message, WIRE_FORMAT_WELCOME)
}

/// Checks that the bytes are framed as a `KeyPackage`.
///
/// # Errors
/// [`FramingError`] when they are not.
pub fn check_key_package(message: &[u8]) -> Result<(), FramingError> {
    check_format(message, WIRE_FORMAT_KEY_PACKAGE)
}

/// Why bytes are not the MLS message they should be; always the sender's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FramingError {
    /// The bytes end too early.
    #[error("the MLS message ends too early")]
    Truncated,
    /// A length is not in its shortest form, or a field has no meaning in RFC 9420.
    #[error("the MLS message is malformed")]
    Malformed,
    /// Not MLS 1.0.
    #[error("the MLS message is not of version 1.0")]
    Version,
    /// Another wire format than the route carries.
    #[error("the MLS message is of another kind than this route carries")]
    WrongKind,
    /// The group id is not 20 bytes (camera id, generation).
    #[error("the group id is not a camera's device id and a generation")]
    ForeignGroupId,
    /// The sender is not a member.
    #[error("the sender is not a member of the group")]
    SenderNotMember,
}

fn check_format(message: &[u8], expected: u16) -> Result<(), FramingError> {
    let mut reader = Reader(message);
    if read_wire_format(&mut reader)? != expected {
        return Err(FramingError::WrongKind);
    }
    if reader.0.is_empty() { Err(FramingError::Truncated) } else { Ok(()) }
}

fn read_wire_format(reader: &mut Reader<'_>) -> Result<u16, FramingError> {
    if reader.u16()? != MLS10 {
        return Err(FramingError::Version);
    }
    reader.u16()
}

/// The bytes not read yet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], FramingError> {
        let (head, tail) = self.0.split_at_checked(len).ok_or(FramingError::Truncated)?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FramingError> {
        let (head, tail) = self.0.split_first_chunk().ok_or(FramingError::Truncated)?;
        self.0 = tail;
        Ok(*head)
    }

    fn u8(&mut self) -> Result<u8, FramingError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16, FramingError> {
        self.array().map(u16::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, FramingError> {
        self.array().map(u64::from_be_bytes)
    }

    /// A length of 1, 2 or 4 bytes, the first two bits saying which; always the shortest that fits.
    fn length(&mut self) -> Result<usize, FramingError> {
        let first = self.u8()?;
        let value = u32::from(first & 0x3f);
        match first >> 6 {
            0 => Ok(value as usize),
            1 => {
                let value = value << 8 | u32::from(self.u8()?);
                if value < 0x40 { Err(FramingError::Malformed) } else { Ok(value as usize) }
            }
            2 => {
                let [a, b, c] = self.array()?;
                let value = value << 24 | u32::from(a) << 16 | u32::from(b) << 8 | u32::from(c);
                if value < 0x4000 { Err(FramingError::Malformed) } else { Ok(value as usize) }
            }
            _ => Err(FramingError::Malformed),
        }
    }

    fn vector(&mut self) -> Result<&'a [u8], FramingError> {
        let len = self.length()?;
        self.take(len)
    }
}

const MLS10: u16 = 0x0001;
const WIRE_FORMAT_PUBLIC: u16 = 0x0001;
const WIRE_FORMAT_PRIVATE: u16 = 0x0002;
const WIRE_FORMAT_WELCOME: u16 = 0x0003;
const WIRE_FORMAT_KEY_PACKAGE: u16 = 0x0005;
const SENDER_MEMBER: u8 = 1;
const SENDER_EXTERNAL: u8 = 2;
const SENDER_NEW_MEMBER_PROPOSAL: u8 = 3;
const SENDER_NEW_MEMBER_COMMIT: u8 = 4;
const CONTENT_APPLICATION: u8 = 1;
const CONTENT_PROPOSAL: u8 = 2;
const CONTENT_COMMIT: u8 = 3;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use latchkey_api::id::DeviceId;
    use proptest::prelude::*;

    fn length(len: usize) -> Vec<u8> {
        let len = u32::try_from(len).unwrap();
        match len {
            0..0x40 => vec![len as u8],
            0x40..0x4000 => (len as u16 | 0x4000).to_be_bytes().to_vec(),
            _ => (len | 0x8000_0000).to_be_bytes().to_vec(),
        }
    }

    fn message(private: bool, group: &[u8], epoch: u64, aad: &[u8], content: u8) -> Vec<u8> {
        let mut bytes = vec![0, 1, 0, if private { 2 } else { 1 }];
        bytes.extend(length(group.len()));
        bytes.extend(group);
        bytes.extend(epoch.to_be_bytes());
        if !private {
            bytes.extend([SENDER_MEMBER, 0, 0, 0, 7]);
            bytes.extend(length(aad.len()));
            bytes.extend(aad);
        }
        bytes.push(content);
        bytes.extend(b"rest");
        bytes
    }

    proptest! {
        #[test]
        fn reads_back_what_was_framed(
            camera: [u8; 16], generation: u32, epoch: u64, private: bool,
            aad in proptest::collection::vec(any::<u8>(), 0..20_000), content in 1..=3u8,
        ) {
            let group = GroupId::new(DeviceId(camera), generation);
            let bytes = message(private, group.as_bytes(), epoch, &aad, content);
            let header = read_header(&bytes).unwrap();
            let kind = [MessageKind::Application, MessageKind::Proposal, MessageKind::Commit][usize::from(content) - 1];
            prop_assert_eq!(header, Header { group, epoch, kind, private });
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_header(&bytes);
            let _ = check_welcome(&bytes);
            let _ = check_key_package(&bytes);
        }

        #[test]
        fn every_cut_is_refused(private: bool, aad in proptest::collection::vec(any::<u8>(), 0..100), at: prop::sample::Index) {
            let bytes = message(private, &[1; 20], 5, &aad, 3);
            let whole = bytes.len() - b"rest".len();
            prop_assert_eq!(read_header(&bytes[..at.index(whole + 1)]), Err(FramingError::Truncated));
        }
    }

    #[test]
    fn foreign_things_are_refused_by_name() {
        let good = message(false, &[1; 20], 5, &[], 3);
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            read_header(&bytes)
        };
        assert_eq!(with(1, 2), Err(FramingError::Version));
        assert_eq!(with(3, 3), Err(FramingError::WrongKind));
        assert_eq!(with(33, 2), Err(FramingError::SenderNotMember));
        assert_eq!(with(33, 4), Err(FramingError::SenderNotMember));
        assert_eq!(with(33, 9), Err(FramingError::Malformed));
        assert_eq!(with(39, 4), Err(FramingError::Malformed));
        assert_eq!(read_header(&message(false, &[1; 19], 5, &[], 3)), Err(FramingError::ForeignGroupId));
    }

    #[test]
    fn a_length_must_be_in_its_shortest_form() {
        let mut bytes = vec![0, 1, 0, 2, 0x40, 20];
        bytes.extend([1; 20]);
        bytes.extend(5u64.to_be_bytes());
        bytes.extend([3, 0]);
        assert_eq!(read_header(&bytes), Err(FramingError::Malformed));
    }

    #[test]
    fn welcome_and_key_package_are_told_apart() {
        assert_eq!(check_welcome(&[0, 1, 0, 3, 0]), Ok(()));
        assert_eq!(check_welcome(&[0, 1, 0, 5, 0]), Err(FramingError::WrongKind));
        assert_eq!(check_key_package(&[0, 1, 0, 5, 0]), Ok(()));
        assert_eq!(check_key_package(&[0, 1, 0, 5]), Err(FramingError::Truncated));
    }
}
