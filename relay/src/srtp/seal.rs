//! Seals outgoing RTP straight into the send arena.

use aws_lc_rs::aead::{Aad, Nonce};
use aws_lc_rs::hmac;

use crate::srtp::SealError;
use crate::srtp::keys::{GCM_TAG, MasterKey, Protocol, SHA1_80_TAG, SessionKey, cm_iv, gcm_iv};

/// Seals the RTP packets of one peer. The caller owns the 48-bit index of every SSRC and never gives one out twice.
pub struct Sealer {
    key: SessionKey,
}

/// What is to be sealed, in the parts that lie apart in memory.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a> {
    /// RTP header with its extension block: authenticated, not encrypted.
    pub header: &'a [u8],
    /// First encrypted bytes, often none.
    pub prefix: &'a [u8],
    /// The other encrypted bytes.
    pub payload: &'a [u8],
    /// SSRC in the header.
    pub ssrc: u32,
    /// 48-bit packet index; its low 16 bits are the header's sequence number.
    pub index: u64,
}

impl Sealer {
    /// Derives the session keys.
    pub fn new(master: &MasterKey) -> Self {
        Self { key: SessionKey::derive(master, Protocol::Rtp) }
    }

    /// Bytes that a packet grows by.
    #[inline]
    pub fn overhead(&self) -> usize {
        self.key.rtp_overhead()
    }

    /// Writes the sealed packet to `out`, which must be exactly as long as the packet and [`Sealer::overhead`] together.
    ///
    /// With AES-GCM the payload goes from where it lies into `out` in one pass, without a copy before.
    ///
    /// # Errors
    /// [`SealError`] when `out` has another length; `out` is then unspecified and must not be sent.
    #[inline]
    pub fn seal(&self, plain: &Plain<'_>, out: &mut [u8]) -> Result<(), SealError> {
        let clear = plain.header.len();
        let body = plain.prefix.len() + plain.payload.len();
        if out.len() != clear + body + self.overhead() {
            return Err(SealError);
        }
        let (head, rest) = out.split_at_mut(clear);
        head.copy_from_slice(plain.header);
        match &self.key {
            SessionKey::Gcm { key, salt } => {
                let nonce = Nonce::assume_unique_for_key(gcm_iv(salt, plain.ssrc, plain.index));
                let (body, tag) = rest.split_at_mut(body);
                if plain.prefix.is_empty() {
                    return key
                        .seal_out_of_place_scatter(nonce, Aad::from(&*head), plain.payload, body, &[], tag)
                        .map_err(|_| SealError);
                }
                copy_body(plain, body);
                key.seal_in_place_scatter(nonce, Aad::from(&*head), body, &[], tag).map_err(|_| SealError)
            }
            SessionKey::CmSha1(cm) => {
                copy_body(plain, &mut rest[..body]);
                cm.cipher
                    .less_safe_encrypt(&mut rest[..body], cm_iv(&cm.salt, plain.ssrc, plain.index))
                    .map_err(|_| SealError)?;
                // The tag covers the packet and the rollover counter after it, which is not sent: it lies for a moment where
                // the tag will be.
                let end = clear + body;
                let rollover = (plain.index >> 16) as u32;
                out[end..end + 4].copy_from_slice(&rollover.to_be_bytes());
                let tag = hmac::sign(&cm.mac, &out[..end + 4]);
                out[end..].copy_from_slice(&tag.as_ref()[..SHA1_80_TAG]);
                Ok(())
            }
        }
    }
}

fn copy_body(plain: &Plain<'_>, body: &mut [u8]) {
    let (prefix, payload) = body.split_at_mut(plain.prefix.len());
    prefix.copy_from_slice(plain.prefix);
    payload.copy_from_slice(plain.payload);
}

const _: () = assert!(GCM_TAG >= 4 && SHA1_80_TAG >= 4);
