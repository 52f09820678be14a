//! The SFrame back end: key derivation and AES-GCM with the key schedule made once per key.

use hkdf::Hkdf;
use latchkey_cipher::{CipherFailure, NONCE_LEN, PreparedKey};
use sframe::CipherSuite;
use sframe::crypto::{
    AeadDecrypt, AeadEncrypt, DecryptionBufferView, EncryptionBufferView, KeyDerivation,
    get_hkdf_key_expand_label, get_hkdf_salt_expand_label,
};
use sframe::error::SframeError;
use sframe::header::{Counter, KeyId};
use sframe::key::{GenericDecryptionKey, GenericEncryptionKey};
use sha2::{Sha256, Sha512};
use zeroize::Zeroizing;

/// A key that seals frames.
pub(crate) type SealingKey = GenericEncryptionKey<Aead, Kdf>;
/// A key that opens frames.
pub(crate) type OpeningKey = GenericDecryptionKey<Aead, Kdf>;

/// AES-GCM of suites 4 and 5.
#[derive(Clone, Copy)]
pub(crate) struct Aead;

/// HKDF of suites 4 and 5 (RFC 9605 section 4.4.2).
pub(crate) struct Kdf;

/// What is kept per key: the prepared cipher and the salt of the nonces.
pub(crate) struct Secret {
    key: PreparedKey,
    salt: Zeroizing<[u8; NONCE_LEN]>,
}

impl Secret {
    /// The salt with the counter XORed into its end (RFC 9605 section 4.4.3).
    fn nonce(&self, counter: Counter) -> [u8; NONCE_LEN] {
        let mut nonce = *self.salt;
        for (byte, counter) in nonce[NONCE_LEN - 8..].iter_mut().zip(counter.to_be_bytes()) {
            *byte ^= counter;
        }
        nonce
    }
}

impl KeyDerivation for Kdf {
    type Secret = Secret;

    fn expand_from<M, K>(suite: CipherSuite, key_material: M, key_id: K) -> Result<Secret, SframeError>
    where
        M: AsRef<[u8]>,
        K: Into<KeyId>,
    {
        let key_id = key_id.into();
        let mut key = Zeroizing::new([0; 32]);
        let key = key.get_mut(..suite.key_len()).ok_or(SframeError::UnsupportedCipherSuite)?;
        let mut salt = Zeroizing::new([0; NONCE_LEN]);
        expand(suite, key_material.as_ref(), key_id, key, salt.as_mut_slice())?;
        let key = PreparedKey::new(key).map_err(|CipherFailure| SframeError::KeyDerivationFailure)?;
        Ok(Secret { key, salt })
    }
}

impl TryFrom<CipherSuite> for Aead {
    type Error = SframeError;

    fn try_from(suite: CipherSuite) -> Result<Self, SframeError> {
        match suite {
            CipherSuite::AesGcm128Sha256 | CipherSuite::AesGcm256Sha512 => Ok(Self),
            _ => Err(SframeError::UnsupportedCipherSuite),
        }
    }
}

impl AeadEncrypt for Aead {
    type Secret = Secret;

    fn encrypt<'a, B>(&self, secret: &Secret, buffer: B, counter: Counter) -> Result<(), SframeError>
    where
        B: Into<EncryptionBufferView<'a>>,
    {
        let buffer = buffer.into();
        let tag = secret.key.seal(&secret.nonce(counter), buffer.aad, buffer.data);
        let tag = tag.map_err(|CipherFailure| SframeError::EncryptionFailure)?;
        if buffer.tag.len() != tag.len() {
            return Err(SframeError::EncryptionFailure);
        }
        buffer.tag.copy_from_slice(&tag);
        Ok(())
    }
}

impl AeadDecrypt for Aead {
    type Secret = Secret;

    fn decrypt<'a, B>(&self, secret: &Secret, buffer: B, counter: Counter) -> Result<(), SframeError>
    where
        B: Into<DecryptionBufferView<'a>>,
    {
        let buffer = buffer.into();
        let opened = secret.key.open(&secret.nonce(counter), buffer.aad, buffer.data);
        opened.map(|_| ()).map_err(|CipherFailure| SframeError::DecryptionFailure)
    }
}

/// sframe_secret = HKDF-Extract("", base key); key and salt = HKDF-Expand of it by their labels.
fn expand(
    suite: CipherSuite,
    base: &[u8],
    key_id: KeyId,
    key: &mut [u8],
    salt: &mut [u8],
) -> Result<(), SframeError> {
    let key_label = get_hkdf_key_expand_label(key_id, suite);
    let salt_label = get_hkdf_salt_expand_label(key_id, suite);
    let expanded = match suite {
        CipherSuite::AesGcm128Sha256 => {
            let secret = Hkdf::<Sha256>::new(None, base);
            secret.expand(&key_label, key).and_then(|()| secret.expand(&salt_label, salt))
        }
        CipherSuite::AesGcm256Sha512 => {
            let secret = Hkdf::<Sha512>::new(None, base);
            secret.expand(&key_label, key).and_then(|()| secret.expand(&salt_label, salt))
        }
        _ => return Err(SframeError::UnsupportedCipherSuite),
    };
    expanded.map_err(|_| SframeError::KeyDerivationFailure)
}

#[cfg(test)]
mod tests;
