//! The plain file of before, without encryption, which is still read.
//!
//! ```text
//! plain = "latchkey vault 1\n" | record ... | SHA-256 of all before (32)
//! ```

use latchkey_household::vault::records::{self, Records};
use sha2::{Digest, Sha256};

/// Returns whether a file is one of before, without encryption.
pub(super) fn is_plain(file: &[u8]) -> bool {
    file.starts_with(PLAIN_MAGIC)
}

/// Reads a plain file. Fails with what is wrong with it.
pub(super) fn decode(file: &[u8]) -> Result<Records, &'static str> {
    let body = file.strip_prefix(PLAIN_MAGIC).ok_or("it is not a vault of this version")?;
    let (body, digest) = body.split_last_chunk::<32>().ok_or("it is cut off")?;
    let whole = &file[..file.len() - 32];
    if Sha256::digest(whole).as_slice() != digest {
        return Err("its checksum is wrong");
    }
    records::decode(body)
}

const PLAIN_MAGIC: &[u8] = b"latchkey vault 1\n";

/// Writes a file of before, as tests need it.
#[cfg(test)]
pub(super) fn encode_plain(records: &Records) -> Vec<u8> {
    let mut bytes = [PLAIN_MAGIC, records::encode(records, 0).as_slice()].concat();
    let digest = Sha256::digest(&bytes);
    bytes.extend_from_slice(&digest);
    bytes
}
