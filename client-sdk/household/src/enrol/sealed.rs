//! Small things sealed under a key both sides already share: invite mail.
//!
//! ```text
//! nonce (12, random) | AES-256-GCM(content) | tag (16)
//! ```

use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// A key that seals a few small messages. Nonces are random: fine for far more than an invite needs.
pub(crate) struct SmallKey(Aes256Gcm);

/// It does not open: another key, another place, or changed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DoesNotOpen;

impl SmallKey {
    /// The key that HKDF-SHA256 (RFC 5869) gives for `purpose` from a shared secret.
    pub(crate) fn derive(secret: &[u8], purpose: &str) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(Some(SALT), secret)
            .expand(purpose.as_bytes(), bytes.as_mut_slice())
            .expect("HKDF-SHA256 gives 32 bytes");
        Self(Aes256Gcm::new((&*bytes).into()))
    }

    /// Seals `content`; it opens only with the same `place`.
    pub(crate) fn seal(&self, place: &[u8], content: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).expect("the system gives random bytes");
        let mut sealed = Vec::with_capacity(NONCE_LEN + content.len() + TAG_LEN);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(content);
        let body = sealed[NONCE_LEN..].as_mut();
        let tag = self
            .0
            .encrypt_inout_detached(&Nonce::from(nonce), place, body.into())
            .expect("content is far below the bound of AES-GCM");
        sealed.extend_from_slice(&tag);
        sealed
    }

    /// Opens what was sealed for this `place`.
    pub(crate) fn open(&self, place: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, DoesNotOpen> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(DoesNotOpen)?;
        let (body, tag) = body.split_last_chunk::<TAG_LEN>().ok_or(DoesNotOpen)?;
        let mut content = Zeroizing::new(body.to_vec());
        self.0
            .decrypt_inout_detached(
                &Nonce::from(*nonce),
                place,
                content.as_mut_slice().into(),
                &Tag::from(*tag),
            )
            .map_err(|_| DoesNotOpen)?;
        Ok(content)
    }
}

const SALT: &[u8] = b"latchkey invite v1";
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;

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

    #[test]
    fn what_another_implementation_sealed_opens() {
        // By OpenSSL: HKDF-SHA256 and AES-256-GCM.
        let sealed = hex("000102030405060708090a0b22fdf83a2299192e72b1e58085deabe7326a323d662692afa243");
        let key = SmallKey::derive(&[7; 16], "a");
        assert_eq!(key.open(b"here", &sealed).unwrap().as_slice(), b"front door");
    }

    fn hex(text: &str) -> Vec<u8> {
        text.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }
}
