//! SRTCP (RFC 3711 section 3.4, RFC 7714 section 9): seals outgoing RTCP, opens incoming RTCP in place.
//!
//! ```text
//! AES-GCM:  header and first SSRC (8) | ciphertext | tag (16) | E = 1, index (4)
//! AES-CM:   header and first SSRC (8) | ciphertext | E = 1, index (4) | tag (10)
//! ```

use aws_lc_rs::aead::{Aad, Nonce};
use aws_lc_rs::hmac;
use subtle::ConstantTimeEq;

use crate::srtp::keys::{GCM_TAG, INDEX, MasterKey, Protocol, SHA1_80_TAG, SessionKey, cm_iv, gcm_iv};
use crate::srtp::replay::Sources;
use crate::srtp::{OpenError, SealError};

/// Seals the RTCP packets of one peer, with one index for all of its SSRCs.
pub struct ControlSealer {
    key: SessionKey,
    next_index: u32,
}

impl ControlSealer {
    /// Derives the session keys.
    pub fn new(master: &MasterKey) -> Self {
        Self { key: SessionKey::derive(master, Protocol::Rtcp), next_index: 0 }
    }

    /// Bytes that a packet grows by.
    pub fn overhead(&self) -> usize {
        self.key.rtp_overhead() + INDEX
    }

    /// Seals in place the compound packet that fills `out` up to [`ControlSealer::overhead`] bytes before its end.
    ///
    /// # Errors
    /// [`SealError`] when `out` is too short, or after 2^31 packets; `out` must then not be sent.
    pub fn seal(&mut self, out: &mut [u8]) -> Result<(), SealError> {
        let end = out.len().checked_sub(self.overhead()).filter(|end| *end >= CLEAR).ok_or(SealError)?;
        if self.next_index > MAX_INDEX {
            return Err(SealError);
        }
        let index = self.next_index;
        self.next_index += 1;
        let ssrc = u32::from_be_bytes([out[4], out[5], out[6], out[7]]);
        let word = (index | ENCRYPTED).to_be_bytes();
        match &self.key {
            SessionKey::Gcm { key, salt } => {
                let nonce = Nonce::assume_unique_for_key(gcm_iv(salt, ssrc, u64::from(index)));
                let aad = associated(out, word);
                let (body, rest) = out[CLEAR..].split_at_mut(end - CLEAR);
                let (tag, last) = rest.split_at_mut(GCM_TAG);
                key.seal_in_place_scatter(nonce, Aad::from(aad), body, &[], tag).map_err(|_| SealError)?;
                last.copy_from_slice(&word);
            }
            SessionKey::CmSha1(cm) => {
                cm.cipher
                    .less_safe_encrypt(&mut out[CLEAR..end], cm_iv(&cm.salt, ssrc, u64::from(index)))
                    .map_err(|_| SealError)?;
                out[end..end + INDEX].copy_from_slice(&word);
                let tag = hmac::sign(&cm.mac, &out[..end + INDEX]);
                out[end + INDEX..].copy_from_slice(&tag.as_ref()[..SHA1_80_TAG]);
            }
        }
        Ok(())
    }
}

/// Opens the RTCP packets of one peer and keeps a replay window per sender SSRC.
pub struct ControlOpener {
    key: SessionKey,
    sources: Sources,
}

impl ControlOpener {
    /// Sender SSRCs that one peer may use at once.
    pub const MAX_SOURCES: usize = Sources::MOST;

    /// Derives the session keys.
    pub fn new(master: &MasterKey) -> Self {
        Self { key: SessionKey::derive(master, Protocol::Rtcp), sources: Sources::default() }
    }

    /// Opens one SRTCP packet in place and returns the length of the compound packet that `packet` then begins with.
    /// Packets that are authenticated only, not encrypted, are refused: WebRTC never sends them.
    ///
    /// # Errors
    /// See [`OpenError`]; the contents of `packet` are then unspecified, nothing else has changed.
    pub fn open(&mut self, packet: &mut [u8]) -> Result<usize, OpenError> {
        let overhead = self.key.rtp_overhead() + INDEX;
        let end =
            packet.len().checked_sub(overhead).filter(|end| *end >= CLEAR).ok_or(OpenError::Malformed)?;
        let ssrc = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
        let at = match self.key {
            SessionKey::Gcm { .. } => end + GCM_TAG,
            SessionKey::CmSha1(_) => end,
        };
        let word = [packet[at], packet[at + 1], packet[at + 2], packet[at + 3]];
        let index = u32::from_be_bytes(word);
        if index & ENCRYPTED == 0 {
            return Err(OpenError::Malformed);
        }
        let index = u64::from(index & !ENCRYPTED);
        let place = self.sources.place_of(ssrc);
        if !self.sources.admits(place, index) {
            return Err(OpenError::Replayed);
        }
        match &self.key {
            SessionKey::Gcm { key, salt } => {
                let nonce = Nonce::assume_unique_for_key(gcm_iv(salt, ssrc, index));
                let aad = associated(packet, word);
                key.open_in_place(nonce, Aad::from(aad), &mut packet[CLEAR..at])
                    .map_err(|_| OpenError::Authentication)?;
            }
            SessionKey::CmSha1(cm) => {
                let (signed, tag) = packet.split_at(end + INDEX);
                let expected = hmac::sign(&cm.mac, signed);
                if !bool::from(expected.as_ref()[..SHA1_80_TAG].ct_eq(tag)) {
                    return Err(OpenError::Authentication);
                }
                cm.cipher
                    .less_safe_encrypt(&mut packet[CLEAR..end], cm_iv(&cm.salt, ssrc, index))
                    .map_err(|_| OpenError::Malformed)?;
            }
        }
        self.sources.note(place, ssrc, index)?;
        Ok(end)
    }
}

/// What AES-GCM authenticates of an RTCP packet beside the ciphertext.
fn associated(packet: &[u8], word: [u8; INDEX]) -> [u8; CLEAR + INDEX] {
    let mut aad = [0; CLEAR + INDEX];
    aad[..CLEAR].copy_from_slice(&packet[..CLEAR]);
    aad[CLEAR..].copy_from_slice(&word);
    aad
}

/// Header and first SSRC stay in the clear.
const CLEAR: usize = 8;
const ENCRYPTED: u32 = 1 << 31;
const MAX_INDEX: u32 = ENCRYPTED - 1;
