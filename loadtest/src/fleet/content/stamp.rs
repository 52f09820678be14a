//! The stamp: what a frame tells of itself from inside its ciphertext, so that whoever opened it knows which it is and how old.
//!
//! ```text
//! magic (8) || number (8) || born (8) || pace (4) || packets (2) || check (4)            all big-endian
//! ```
//! It stands in the last bytes of a frame; in an H.264 frame in an SEI of its own (ITU-T H.264 annex D.1.7, user data
//! unregistered) between parameter sets and first slice, where a decoder passes it by.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Which frame it is, and when its packets left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Number of the frame, from 0, counting by one; every frame that leaves has one.
    pub number: u64,
    /// When its first packet was handed to the socket, nanoseconds since the Unix epoch.
    pub born_ns: u64,
    /// From one of its packets to the next, nanoseconds; 0 in a burst.
    pub pace_ns: u32,
    /// How many packets it is cut into.
    pub packets: u16,
}

impl Stamp {
    /// Length in bytes.
    pub const LEN: usize = 34;

    /// Writes the stamp over the last [`Stamp::LEN`] bytes of `frame`; a shorter frame grows to that length.
    pub fn write_into(&self, frame: &mut Vec<u8>) {
        let at = frame.len().saturating_sub(Self::LEN);
        frame.truncate(at);
        frame.extend_from_slice(&self.to_bytes());
    }

    /// Appends the stamp as an H.264 SEI NAL unit with its start code.
    pub fn write_sei(&self, frame: &mut Vec<u8>) {
        frame.extend_from_slice(&[0, 0, 0, 1, SEI, USER_DATA_UNREGISTERED, SEI_PAYLOAD_LEN]);
        frame.extend_from_slice(&UUID);
        let mut zeros = 0;
        for byte in self.to_bytes() {
            if zeros >= 2 && byte <= 3 {
                frame.push(EMULATION_PREVENTION);
                zeros = 0;
            }
            frame.push(byte);
            zeros = if byte == 0 { zeros + 1 } else { 0 };
        }
        frame.push(RBSP_STOP);
    }

    /// Reads the stamp of an opened frame, wherever its codec has it; `None` for a frame without one, or with one that was
    /// changed. Looks at the last bytes and at what stands before the first slice, so it costs the same for large frames.
    #[must_use]
    pub fn read_from(plaintext: &[u8]) -> Option<Self> {
        let last = plaintext.last_chunk().and_then(Self::from_bytes);
        last.or_else(|| Self::read_sei(plaintext))
    }

    /// When its packet `index`, from 0, was due at the camera's socket, nanoseconds since the Unix epoch.
    #[must_use]
    pub fn packet_born_ns(&self, index: u16) -> u64 {
        self.born_ns.saturating_add(u64::from(self.pace_ns) * u64::from(index))
    }

    /// Returns `time` as stamps tell it: nanoseconds since the Unix epoch.
    #[must_use]
    pub fn nanoseconds(time: SystemTime) -> u64 {
        time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_nanos() as u64
    }

    fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&self.number.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.born_ns.to_be_bytes());
        bytes[24..28].copy_from_slice(&self.pace_ns.to_be_bytes());
        bytes[28..CHECK_AT].copy_from_slice(&self.packets.to_be_bytes());
        let check = check(&bytes[..CHECK_AT]);
        bytes[CHECK_AT..].copy_from_slice(&check.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; Self::LEN]) -> Option<Self> {
        if !bytes.starts_with(&MAGIC) || bytes[CHECK_AT..] != check(&bytes[..CHECK_AT]).to_be_bytes() {
            return None;
        }
        let mut rest = &bytes[8..];
        Some(Self {
            number: u64::from_be_bytes(take(&mut rest)?),
            born_ns: u64::from_be_bytes(take(&mut rest)?),
            pace_ns: u32::from_be_bytes(take(&mut rest)?),
            packets: u16::from_be_bytes(take(&mut rest)?),
        })
    }

    fn read_sei(frame: &[u8]) -> Option<Self> {
        let mut rest = frame;
        loop {
            let body = rest.strip_prefix(&[0, 0, 0, 1]).or_else(|| rest.strip_prefix(&[0, 0, 1]))?;
            match body.first()? & NAL_TYPE {
                1..=5 => return None,
                SEI => {
                    if let Some(stamp) = Self::from_sei(body) {
                        return Some(stamp);
                    }
                }
                _ => {}
            }
            let next = body.windows(3).position(|bytes| bytes == [0, 0, 1])?;
            rest = &body[next..];
        }
    }

    fn from_sei(nal: &[u8]) -> Option<Self> {
        let head = nal.strip_prefix(&[SEI, USER_DATA_UNREGISTERED, SEI_PAYLOAD_LEN])?;
        let mut escaped = head.strip_prefix(&UUID)?.iter();
        let (mut bytes, mut zeros) = ([0; Self::LEN], 0);
        for byte in &mut bytes {
            let mut next = *escaped.next()?;
            if zeros >= 2 && next == EMULATION_PREVENTION {
                next = *escaped.next()?;
                zeros = 0;
            }
            zeros = if next == 0 { zeros + 1 } else { 0 };
            *byte = next;
        }
        Self::from_bytes(&bytes)
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*head)
}

/// FNV-1a, 32 bits: not against forgers, whom the sealing keeps out, but against bytes that look like a stamp by chance.
fn check(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811C_9DC5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// Of bytes above 3, so that it needs no emulation prevention.
const MAGIC: [u8; 8] = *b"latchkey";
const CHECK_AT: usize = 30;
const NAL_TYPE: u8 = 0x1F;
const SEI: u8 = 6;
const USER_DATA_UNREGISTERED: u8 = 5;
const SEI_PAYLOAD_LEN: u8 = 16 + Stamp::LEN as u8;
/// Drawn at random once; names our stamps among all user data.
const UUID: [u8; 16] =
    [0x5C, 0x0E, 0x9B, 0x71, 0x2F, 0xD4, 0x4A, 0x86, 0xB3, 0x1D, 0xE8, 0x47, 0x6A, 0xF9, 0x25, 0xC3];
const EMULATION_PREVENTION: u8 = 3;
const RBSP_STOP: u8 = 0x80;

#[cfg(test)]
mod tests;
