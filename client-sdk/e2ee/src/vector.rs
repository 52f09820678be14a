//! SFrame under a base key that the caller has: how the vectors of RFC 9605 go through what is shipped.
//!
//! It knows no counter and no replay, so nothing that seals or opens frames uses it: that is what [`crate::seal`] and
//! [`crate::open`] are for, over the same key derivation, header and cipher.

use latchkey_cipher::TAG_LEN;
use latchkey_wire::sframe_header::{MAX_LEN, SframeHeader as Read};
use sframe::crypto::{DecryptionBufferView, EncryptionBufferView};
use sframe::header::SframeHeader;

use crate::cipher::{OpeningKey, SealingKey};
use crate::key_schedule::SUITE;

/// The SFrame of `plain` (RFC 9605 section 4.4.3, suite AES_128_GCM_SHA256_128): header, ciphertext and tag. `None`
/// when the cipher refuses.
#[must_use]
pub fn seal(base_key: &[u8], kid: u64, ctr: u64, metadata: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
    let key = SealingKey::derive_from(SUITE, kid, base_key).ok()?;
    let header = SframeHeader::new(kid, ctr);
    let mut front = [0; MAX_LEN];
    let front = front.get_mut(..header.len())?;
    header.serialize(&mut *front).ok()?;
    let mut aad = [&*front, metadata].concat();
    let mut sframe = [&*front, plain, &[0; TAG_LEN]].concat();
    let (data, tag) = sframe.get_mut(front.len()..)?.split_last_chunk_mut::<TAG_LEN>()?;
    key.encrypt(EncryptionBufferView { aad: &mut aad, data, tag }, ctr).ok()?;
    Some(sframe)
}

/// The plaintext of an SFrame (RFC 9605 section 4.4.4); `None` when it is not authentic, or its header not the
/// shortest possible.
#[must_use]
pub fn open(base_key: &[u8], metadata: &[u8], sframe: &[u8]) -> Option<Vec<u8>> {
    let header = Read::read(sframe).ok()?;
    let (front, body) = sframe.split_at_checked(header.len)?;
    let key = OpeningKey::derive_from(SUITE, header.kid, base_key).ok()?;
    let (mut aad, mut data) = ([front, metadata].concat(), body.to_vec());
    key.decrypt(DecryptionBufferView { aad: &mut aad, data: &mut data }, header.ctr).ok()?;
    data.truncate(body.len() - TAG_LEN);
    Some(data)
}
