//! Small things sealed under a key both sides already share: invite mail and device labels.
//!
//! ```text
//! nonce (12, random) | AES-256-GCM(content) | tag (16)
//! ```

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::Zeroizing;

/// A key that seals a few small messages. Nonces are random: fine for far more than an invite needs.
pub(crate) struct SmallKey(LessSafeKey);

/// It does not open: another key, another place, or changed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DoesNotOpen;

impl SmallKey {
    /// The key with these bytes.
    pub(crate) fn new(bytes: &[u8; 32]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, bytes).expect("AES-256 takes 32 bytes");
        Self(LessSafeKey::new(key))
    }

    /// The key that HKDF-SHA256 (RFC 5869) gives for `purpose` from a shared secret.
    pub(crate) fn derive(secret: &[u8], purpose: &str) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        Salt::new(HKDF_SHA256, b"latchkey invite v1")
            .extract(secret)
            .expand(&[purpose.as_bytes()], Len32)
            .and_then(|okm| okm.fill(bytes.as_mut_slice()))
            .expect("HKDF-SHA256 gives 32 bytes");
        Self::new(&bytes)
    }

    /// Seals `content`; it opens only with the same `place`.
    pub(crate) fn seal(&self, place: &[u8], content: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).expect("the system gives random bytes");
        let mut sealed = Vec::with_capacity(NONCE_LEN + content.len() + 16);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(content);
        let tag = self
            .0
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place),
                &mut sealed[NONCE_LEN..],
            )
            .expect("content is far below the bound of AES-GCM");
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    /// Opens what was sealed for this `place`.
    pub(crate) fn open(&self, place: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, DoesNotOpen> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(DoesNotOpen)?;
        let mut content = Zeroizing::new(body.to_vec());
        let length = self
            .0
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(place), &mut content)
            .map_err(|_| DoesNotOpen)?
            .len();
        content.truncate(length);
        Ok(content)
    }
}

struct Len32;

impl KeyType for Len32 {
    fn len(&self) -> usize {
        32
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn opens_only_with_its_key_and_place() {
        let key = SmallKey::derive(&[7; 16], "a");
        let sealed = key.seal(b"here", b"front door");
        assert_eq!(key.open(b"here", &sealed).unwrap().as_slice(), b"front door");
        assert!(key.open(b"there", &sealed).is_err());
        assert!(SmallKey::derive(&[7; 16], "b").open(b"here", &sealed).is_err());
        let mut changed = sealed.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert!(key.open(b"here", &changed).is_err());
        assert!(key.open(b"here", &sealed[..11]).is_err());
        assert_ne!(sealed, key.seal(b"here", b"front door"));
    }
}
