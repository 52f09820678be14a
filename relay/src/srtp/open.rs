//! Opens incoming RTP in place.

use aws_lc_rs::aead::{Aad, Nonce};
use aws_lc_rs::hmac;
use latchkey_wire::rtp::RtpView;
use subtle::ConstantTimeEq;

use crate::srtp::OpenError;
use crate::srtp::keys::{MasterKey, Protocol, SHA1_80_TAG, SessionKey, cm_iv, gcm_iv};
use crate::srtp::replay::Sources;

/// Opens the RTP packets of one peer and keeps a replay window per SSRC.
pub struct Opener {
    key: SessionKey,
    sources: Sources,
}

impl Opener {
    /// SSRCs that one peer may use at once, RTX and simulcast included.
    pub const MAX_SOURCES: usize = Sources::MOST;

    /// Derives the session keys.
    pub fn new(master: &MasterKey) -> Self {
        Self { key: SessionKey::derive(master, Protocol::Rtp), sources: Sources::default() }
    }

    /// Opens one SRTP packet in place and returns the length of the RTP packet that `packet` then begins with.
    ///
    /// # Errors
    /// See [`OpenError`]; the contents of `packet` are then unspecified, nothing else has changed.
    pub fn open(&mut self, packet: &mut [u8]) -> Result<usize, OpenError> {
        let view = RtpView::parse_sealed(packet).map_err(|_| OpenError::Malformed)?;
        let (ssrc, sequence, clear) = (view.ssrc(), view.sequence_number(), view.header_len());
        let place = self.sources.place_of(ssrc);
        let index = self.sources.index_of(place, sequence);
        if !self.sources.admits(place, index) {
            return Err(OpenError::Replayed);
        }
        let len = open(&self.key, packet, clear, ssrc, index)?;
        // Only now the packet is known to be the peer's.
        self.sources.note(place, ssrc, index)?;
        Ok(len)
    }

    #[cfg(test)]
    pub(super) fn sources_len(&self) -> usize {
        self.sources.len()
    }
}

fn open(
    key: &SessionKey,
    packet: &mut [u8],
    clear: usize,
    ssrc: u32,
    index: u64,
) -> Result<usize, OpenError> {
    let end = packet
        .len()
        .checked_sub(key.rtp_overhead())
        .filter(|end| *end >= clear)
        .ok_or(OpenError::Malformed)?;
    match key {
        SessionKey::Gcm { key, salt } => {
            let nonce = Nonce::assume_unique_for_key(gcm_iv(salt, ssrc, index));
            let (head, rest) = packet.split_at_mut(clear);
            key.open_in_place(nonce, Aad::from(&*head), rest).map_err(|_| OpenError::Authentication)?;
        }
        SessionKey::CmSha1(cm) => {
            let mut tag = [0; SHA1_80_TAG];
            tag.copy_from_slice(&packet[end..]);
            packet[end..end + 4].copy_from_slice(&((index >> 16) as u32).to_be_bytes());
            let expected = hmac::sign(&cm.mac, &packet[..end + 4]);
            if !bool::from(expected.as_ref()[..SHA1_80_TAG].ct_eq(&tag)) {
                return Err(OpenError::Authentication);
            }
            cm.cipher
                .less_safe_encrypt(&mut packet[clear..end], cm_iv(&cm.salt, ssrc, index))
                .map_err(|_| OpenError::Malformed)?;
        }
    }
    Ok(end)
}
