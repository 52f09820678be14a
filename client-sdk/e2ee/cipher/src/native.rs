//! AES-GCM by aws-lc-rs, which uses the processor's AES instructions.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::{CipherFailure, NONCE_LEN, TAG_LEN};

/// An AES-GCM key whose round keys are computed.
pub struct PreparedKey(LessSafeKey);

impl PreparedKey {
    /// Prepares a key of 16 or 32 bytes.
    ///
    /// # Errors
    /// [`CipherFailure`] for another length.
    pub fn new(key: &[u8]) -> Result<Self, CipherFailure> {
        let algorithm = match key.len() {
            16 => &AES_128_GCM,
            32 => &AES_256_GCM,
            _ => return Err(CipherFailure),
        };
        UnboundKey::new(algorithm, key).map(|key| Self(LessSafeKey::new(key))).map_err(|_| CipherFailure)
    }

    /// Encrypts `data` in place and returns its tag. Never call it twice with one nonce.
    ///
    /// # Errors
    /// [`CipherFailure`] where the cipher fails by itself; `data` is then of no use.
    pub fn seal(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        data: &mut [u8],
    ) -> Result<[u8; TAG_LEN], CipherFailure> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let tag =
            self.0.seal_in_place_separate_tag(nonce, Aad::from(aad), data).map_err(|_| CipherFailure)?;
        tag.as_ref().try_into().map_err(|_| CipherFailure)
    }

    /// Decrypts `data`, whose last bytes are the tag, in place and returns the length of the plaintext.
    ///
    /// # Errors
    /// [`CipherFailure`] when the tag does not verify; `data` is then of no use.
    pub fn open(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], data: &mut [u8]) -> Result<usize, CipherFailure> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.0.open_in_place(nonce, Aad::from(aad), data).map(|plain| plain.len()).map_err(|_| CipherFailure)
    }
}
