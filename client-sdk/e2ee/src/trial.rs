//! Trying bytes that somebody holds as the key of an epoch: how a test shows that a server does not have it.

use latchkey_cipher::TAG_LEN;
use latchkey_wire::sframe_header::SframeHeader;
use sframe::crypto::{AeadDecrypt as _, DecryptionBufferView, KeyDerivation as _};

use crate::cipher::{Aead, Kdf};
use crate::key_schedule::{BASE_KEY_LEN, SUITE};

/// A sealed frame on which base keys are tried.
#[derive(Clone, Debug)]
pub struct Trial {
    kid: u64,
    ctr: u64,
    aad: Vec<u8>,
    body: Vec<u8>,
    /// Where each try decrypts; its capacity is used again.
    buffer: Vec<u8>,
}

impl Trial {
    /// Takes a frame as it came: the SFrame bytes, and the envelope that was in front of them. `None` when it is
    /// no SFrame.
    #[must_use]
    pub fn new(sframe: &[u8], envelope: &[u8]) -> Option<Self> {
        let header = SframeHeader::read(sframe).ok()?;
        let (clear, body) = sframe.split_at_checked(header.len)?;
        let aad = [clear, envelope].concat();
        (body.len() >= TAG_LEN).then(|| Self {
            kid: header.kid,
            ctr: header.ctr,
            aad,
            body: body.to_vec(),
            buffer: Vec::new(),
        })
    }

    /// Whether the frame opens when `base_key` is the base key of its epoch (RFC 9605 sections 4.4.2 and 5.2).
    #[must_use]
    pub fn opens_with(&mut self, base_key: &[u8; BASE_KEY_LEN]) -> bool {
        let Ok(secret) = Kdf::expand_from(SUITE, base_key, self.kid) else { return false };
        let Ok(aead) = Aead::try_from(SUITE) else { return false };
        self.buffer.clear();
        self.buffer.extend_from_slice(&self.body);
        let buffer = DecryptionBufferView { aad: &mut self.aad, data: &mut self.buffer };
        aead.decrypt(&secret, buffer, self.ctr).is_ok()
    }
}

/// The base key itself, which a test plants at a server to see that it would be found there. Built for tests only.
#[cfg(any(test, feature = "check-switches"))]
#[must_use]
pub fn base_key(keys: &crate::key_schedule::EpochKeys) -> zeroize::Zeroizing<[u8; BASE_KEY_LEN]> {
    keys.base_key.clone()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use latchkey_wire::codec::Codec;

    use super::*;
    use crate::inner::InnerHeader;
    use crate::key_schedule::keys_for_test;
    use crate::kid::SenderSession;
    use crate::seal::FrameSealer;

    #[test]
    fn the_right_key_opens_and_no_other() {
        let keys = keys_for_test(7, 0);
        let mut sealer = FrameSealer::new(&keys, SenderSession(3));
        let header = InnerHeader { captured_ms: 1, key_frame: true, codec: Codec::H264 };
        let mut sframe = Vec::new();
        sealer.seal(0, header, b"envelope", b"a picture", &mut sframe).unwrap();
        let mut trial = Trial::new(&sframe, b"envelope").unwrap();
        let key = base_key(&keys);
        assert!(trial.opens_with(&key) && trial.opens_with(&key), "also the second time");
        let mut other = *key;
        other[15] ^= 1;
        assert!(!trial.opens_with(&other));
        assert!(!Trial::new(&sframe, b"").unwrap().opens_with(&key));
        assert!(Trial::new(&[], b"").is_none());
    }
}
