//! Records as bytes.
//!
//! ```text
//! record  = name length u16 | name | value length u32 | value          integers big endian
//! state   = "latchkey state 1\n" | record ...
//! ```

use std::collections::BTreeMap;

use zeroize::Zeroizing;

/// Named secrets, in order of their names.
pub type Records = BTreeMap<String, Zeroizing<Vec<u8>>>;

/// Writes records as one piece, unsealed: whoever stores it seals it.
pub fn to_bytes(records: &Records) -> Zeroizing<Vec<u8>> {
    let records = encode(records, 0);
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAGIC.len() + records.len()));
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&records);
    bytes
}

/// Reads what [`to_bytes`] wrote. Fails with what is wrong with it.
pub fn from_bytes(bytes: &[u8]) -> Result<Records, &'static str> {
    decode(bytes.strip_prefix(MAGIC).ok_or("it is not of this version")?)
}

/// Writes records, with room for `spare` more bytes behind them.
pub fn encode(records: &Records, spare: usize) -> Zeroizing<Vec<u8>> {
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
pub fn decode(mut rest: &[u8]) -> Result<Records, &'static str> {
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

const MAGIC: &[u8] = b"latchkey state 1\n";
