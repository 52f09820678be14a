//! AES-128-GCM by RustCrypto, for pages: aws-lc-rs does not build for them.

use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::{Aes128Gcm, Nonce, Tag};

use super::{CipherFailure, NONCE_LEN, TAG_LEN};

/// An AES-GCM key whose round keys are computed.
pub struct PreparedKey(Box<Aes128Gcm>);

impl PreparedKey {
    /// Prepares a key of 16 bytes: frames have no other.
    ///
    /// # Errors
    /// [`CipherFailure`] for another length.
    // Compiled where it is called, to be small: a key is prepared once.
    #[inline]
    pub fn new(key: &[u8]) -> Result<Self, CipherFailure> {
        Aes128Gcm::new_from_slice(key).map(|key| Self(Box::new(key))).map_err(|_| CipherFailure)
    }

    /// Encrypts `data` in place and returns its tag. Never call it twice with one nonce.
    ///
    /// # Errors
    /// [`CipherFailure`] for more than 64 GB.
    pub fn seal(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; TAG_LEN], CipherFailure> {
        let tag = self.0.encrypt_inout_detached(&Nonce::from(*nonce), aad, data.into());
        tag.map(Into::into).map_err(|_| CipherFailure)
    }

    /// Decrypts `data`, whose last bytes are the tag, in place and returns the length of the plaintext.
    ///
    /// # Errors
    /// [`CipherFailure`] when the tag does not verify; `data` is then as it was.
    pub fn open(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], data: &mut [u8]) -> Result<usize, CipherFailure> {
        let (data, tag) = data.split_last_chunk_mut::<TAG_LEN>().ok_or(CipherFailure)?;
        let (len, tag) = (data.len(), Tag::from(*tag));
        let opened = self.0.decrypt_inout_detached(&Nonce::from(*nonce), aad, data.into(), &tag);
        opened.map(|()| len).map_err(|_| CipherFailure)
    }
}
