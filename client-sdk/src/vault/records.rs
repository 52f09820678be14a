//! Records as bytes, and the plain file of before, which is still read.
//!
//! ```text
//! record  = name length u16 | name | value length u32 | value          integers big endian
//! plain   = "latchkey vault 1\n" | record ... | SHA-256 of all before (32)
//! ```

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Named secrets, in order of their names.
pub(super) type Records = BTreeMap<String, Zeroizing<Vec<u8>>>;

/// Returns whether a file is one of before, without encryption.
pub(super) fn is_plain(file: &[u8]) -> bool {
    file.starts_with(PLAIN_MAGIC)
}

/// Reads a plain file. Fails with what is wrong with it.
pub(super) fn decode_plain(file: &[u8]) -> Result<Records, &'static str> {
    let body = file.strip_prefix(PLAIN_MAGIC).ok_or("it is not a vault of this version")?;
    let (records, digest) = body.split_last_chunk::<32>().ok_or("it is cut off")?;
    let whole = &file[..file.len() - 32];
    if Sha256::digest(whole).as_slice() != digest {
        return Err("its checksum is wrong");
    }
    decode(records)
}

/// Writes records, with room for `spare` more bytes behind them.
pub(super) fn encode(records: &Records, spare: usize) -> Zeroizing<Vec<u8>> {
    let size: usize = records.iter().map(|(name, value)| 6 + name.len() + value.len()).sum();
    // Sized at once: a vector that grows leaves copies of secrets behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(size + spare));
    for (name, value) in records {
        let name_len = u16::try_from(name.len()).expect("record names are short constants and ids");
        let value_len = u32::try_from(value.len()).expect("a record is far below 4 GiB");
        bytes.extend_from_slice(&name_len.to_be_bytes());
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(&value_len.to_be_bytes());
        bytes.extend_from_slice(value);
    }
    bytes
}

/// Reads records. Fails with what is wrong with them.
pub(super) fn decode(mut rest: &[u8]) -> Result<Records, &'static str> {
    let mut records = Records::new();
    while !rest.is_empty() {
        let (name, after) = take::<2>(rest)?;
        let (value, after) = take::<4>(after)?;
        let name = std::str::from_utf8(name).map_err(|_| "a name is not text")?;
        records.insert(name.to_owned(), Zeroizing::new(value.to_vec()));
        rest = after;
    }
    Ok(records)
}

/// Splits off one value with an `N`-byte length in front.
fn take<const N: usize>(bytes: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    let (length, rest) = bytes.split_first_chunk::<N>().ok_or("it is cut off")?;
    let length = length.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
    rest.split_at_checked(length).ok_or("it is cut off")
}

const PLAIN_MAGIC: &[u8] = b"latchkey vault 1\n";

/// Writes a file of before, as tests need it.
#[cfg(test)]
pub(super) fn encode_plain(records: &Records) -> Vec<u8> {
    let mut bytes = [PLAIN_MAGIC, encode(records, 0).as_slice()].concat();
    let digest = Sha256::digest(&bytes);
    bytes.extend_from_slice(&digest);
    bytes
}
