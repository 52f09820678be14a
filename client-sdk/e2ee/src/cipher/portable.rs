//! AES-GCM by RustCrypto, for targets that aws-lc-rs does not build for.

use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::{Aes128Gcm, Aes256Gcm, Nonce, Tag};

use super::{CipherFailure, NONCE_LEN, TAG_LEN};

/// An AES-GCM key whose round keys are computed.
pub(crate) enum PreparedKey {
    Aes128(Box<Aes128Gcm>),
    Aes256(Box<Aes256Gcm>),
}

impl PreparedKey {
    /// Prepares a key of 16 or 32 bytes.
    pub(crate) fn new(key: &[u8]) -> Result<Self, CipherFailure> {
        match key.len() {
            16 => Aes128Gcm::new_from_slice(key).map(|key| Self::Aes128(Box::new(key))),
            32 => Aes256Gcm::new_from_slice(key).map(|key| Self::Aes256(Box::new(key))),
            _ => return Err(CipherFailure),
        }
        .map_err(|_| CipherFailure)
    }

    /// Encrypts `data` in place and returns its tag.
    pub(crate) fn seal(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; TAG_LEN], CipherFailure> {
        let nonce = Nonce::from(*nonce);
        match self {
            Self::Aes128(key) => key.encrypt_inout_detached(&nonce, aad, data.into()),
            Self::Aes256(key) => key.encrypt_inout_detached(&nonce, aad, data.into()),
        }
        .map(Into::into)
        .map_err(|_| CipherFailure)
    }

    /// Decrypts `data`, whose last bytes are the tag, in place and returns the length of the plaintext.
    pub(crate) fn open(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<usize, CipherFailure> {
        let nonce = Nonce::from(*nonce);
        let (data, tag) = data.split_last_chunk_mut::<TAG_LEN>().ok_or(CipherFailure)?;
        let (len, tag) = (data.len(), Tag::from(*tag));
        match self {
            Self::Aes128(key) => key.decrypt_inout_detached(&nonce, aad, data.into(), &tag),
            Self::Aes256(key) => key.decrypt_inout_detached(&nonce, aad, data.into(), &tag),
        }
        .map(|()| len)
        .map_err(|_| CipherFailure)
    }
}
