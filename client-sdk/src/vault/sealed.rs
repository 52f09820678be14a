//! A vault's file: a readable header, and all records in one AES-256-GCM box.
//!
//! ```text
//! "latchkey vault 2\n" | header length u16 | header |                   the associated data
//! nonce (12, random at every save) | AES-256-GCM(record ...) | tag (16) |
//! SHA-256 of all before (32)                                            tells damage from a wrong key
//! ```

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use latchkey_household::vault::records::{self, Records};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::vault::header::Header;

/// The key of a vault, 256 bits; wiped when dropped.
///
/// `Clone`, because one process may look into a vault that it has unlocked already.
#[derive(Clone)]
pub(super) struct VaultKey(pub(super) Zeroizing<[u8; 32]>);

impl VaultKey {
    /// Draws a new key.
    pub(super) fn generate() -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(bytes.as_mut_slice()).expect("the system gives random bytes");
        Self(bytes)
    }

    fn aead(&self) -> RandomizedNonceKey {
        RandomizedNonceKey::new(&AES_256_GCM, self.0.as_slice()).expect("AES-256 takes 32 bytes")
    }
}

/// A file that is whole, with its records still sealed.
pub(super) struct Sealed<'a> {
    pub(super) header: Header,
    /// Everything before the nonce.
    head: &'a [u8],
    nonce: [u8; NONCE_LEN],
    body: &'a [u8],
}

/// The key does not open the records.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DoesNotOpen;

impl<'a> Sealed<'a> {
    /// Takes a file apart. Fails with what is wrong with it.
    pub(super) fn parse(file: &'a [u8]) -> Result<Self, &'static str> {
        if !file.starts_with(MAGIC) {
            return Err("it is not a vault of this version");
        }
        let (whole, digest) = file.split_last_chunk::<32>().ok_or("it is cut off")?;
        if Sha256::digest(whole).as_slice() != digest {
            return Err("its checksum is wrong");
        }
        let rest = whole.strip_prefix(MAGIC).ok_or("it is cut off")?;
        let (length, rest) = rest.split_first_chunk::<2>().ok_or("it is cut off")?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (header, rest) = rest.split_at_checked(length).ok_or("it is cut off")?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or("it is cut off")?;
        let head = &whole[..MAGIC.len() + 2 + length];
        Ok(Self { header: Header::decode(header)?, head, nonce: *nonce, body })
    }

    /// Opens the records.
    ///
    /// The outer error is a key that does not fit; the inner one says what is wrong with what it opened.
    pub(super) fn open(&self, key: &VaultKey) -> Result<Result<Records, &'static str>, DoesNotOpen> {
        let mut bytes = Zeroizing::new(self.body.to_vec());
        let nonce = Nonce::assume_unique_for_key(self.nonce);
        let opened = key.aead().open_in_place(nonce, Aad::from(self.head), &mut bytes);
        Ok(records::decode(opened.map_err(|_| DoesNotOpen)?))
    }
}

/// Returns the file for these records.
pub(super) fn seal(header: &Header, key: &VaultKey, records: &Records) -> Vec<u8> {
    let header = header.encode();
    let length = u16::try_from(header.len()).expect("a path on this machine is shorter than 64 KiB");
    let mut file = [MAGIC, &length.to_be_bytes(), &header].concat();
    let mut body = records::encode(records, TAG_LEN);
    let sealed = key.aead().seal_in_place_append_tag(Aad::from(&file), &mut *body);
    let nonce = sealed.expect("records are far below the bound of AES-GCM");
    file.extend_from_slice(nonce.as_ref());
    file.extend_from_slice(&body);
    let digest = Sha256::digest(&file);
    file.extend_from_slice(&digest);
    file
}

const MAGIC: &[u8] = b"latchkey vault 2\n";
const TAG_LEN: usize = 16;
