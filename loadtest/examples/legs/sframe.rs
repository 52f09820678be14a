//! SFrame (RFC 9605) of suite 4 with a base key that is known, written down once more: what the clients seal must open here.

use std::collections::HashMap;

use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::{Aes128Gcm, Nonce, Tag};
use anyhow::{Context as _, anyhow, ensure};
use hkdf::Hkdf;
use latchkey_wire::sframe_header::{MAX_LEN, SframeHeader};
use sha2::Sha256;
use zeroize::Zeroizing;

/// A base key, and the keys made of it.
pub(crate) struct Keys {
    base: Zeroizing<[u8; 16]>,
    made: HashMap<u64, Key>,
}

struct Key {
    cipher: Aes128Gcm,
    salt: [u8; 12],
}

impl Keys {
    /// Reads 32 hexadecimal digits.
    pub(crate) fn from_hex(text: &str) -> anyhow::Result<Self> {
        ensure!(text.len() == 32 && text.is_ascii(), "a base key has 32 hexadecimal digits");
        let mut base = Zeroizing::new([0; 16]);
        for (at, byte) in base.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).context("not hexadecimal")?;
        }
        Ok(Self { base, made: HashMap::new() })
    }

    /// Returns header, ciphertext and tag.
    pub(crate) fn seal(
        &mut self,
        kid: u64,
        ctr: u64,
        envelope: &[u8],
        plain: &[u8],
    ) -> anyhow::Result<Vec<u8>> {
        let mut header = [0; MAX_LEN];
        let len = SframeHeader::write(kid, ctr, &mut header);
        let aad = [&header[..len], envelope].concat();
        let mut body = plain.to_vec();
        let key = self.key(kid)?;
        let nonce = Nonce::from(key.nonce(ctr));
        let tag = key.cipher.encrypt_inout_detached(&nonce, &aad, body.as_mut_slice().into());
        let tag = tag.map_err(|_| anyhow!("the cipher failed"))?;
        Ok([&header[..len], &body, &tag[..]].concat())
    }

    /// Returns the plaintext of header, ciphertext and tag.
    pub(crate) fn open(&mut self, envelope: &[u8], sframe: &[u8]) -> anyhow::Result<Vec<u8>> {
        let header = SframeHeader::read(sframe)?;
        let (clear, body) = sframe.split_at(header.len);
        let (body, tag) = body.split_last_chunk::<16>().context("shorter than its tag")?;
        let aad = [clear, envelope].concat();
        let mut plain = body.to_vec();
        let key = self.key(header.kid)?;
        let nonce = Nonce::from(key.nonce(header.ctr));
        let opened =
            key.cipher.decrypt_inout_detached(&nonce, &aad, plain.as_mut_slice().into(), &Tag::from(*tag));
        opened.map_err(|_| anyhow!("the tag is wrong"))?;
        Ok(plain)
    }

    fn key(&mut self, kid: u64) -> anyhow::Result<&Key> {
        if !self.made.contains_key(&kid) {
            let secret = Hkdf::<Sha256>::new(None, self.base.as_slice());
            let mut key = Zeroizing::new([0; 16]);
            let mut salt = [0; 12];
            for (label, out) in [("key ", key.as_mut_slice()), ("salt ", &mut salt)] {
                let info = [b"SFrame 1.0 Secret ", label.as_bytes(), &kid.to_be_bytes(), &SUITE].concat();
                secret.expand(&info, out).map_err(|_| anyhow!("the key derivation failed"))?;
            }
            let cipher = Aes128Gcm::new_from_slice(key.as_slice())?;
            self.made.insert(kid, Key { cipher, salt });
        }
        self.made.get(&kid).context("just made")
    }
}

impl Key {
    fn nonce(&self, ctr: u64) -> [u8; 12] {
        let mut nonce = self.salt;
        for (byte, ctr) in nonce[4..].iter_mut().zip(ctr.to_be_bytes()) {
            *byte ^= ctr;
        }
        nonce
    }
}

/// AES_128_GCM_SHA256_128.
const SUITE: [u8; 2] = [0, 4];
