//! Into how many packets a frame will be cut: its stamp says so, and the stamp is sealed before the frame is cut.

use latchkey_wire::codec::Codec;
use latchkey_wire::payload::{self, Payloads, SplitError};

/// Longest SFrame header (RFC 9605): one byte, a key id of eight bytes, and the counter below 2^32.
const SFRAME_HEADER: usize = 13;
const INNER_HEADER: usize = 8;
const TAG: usize = 16;
/// Envelope of a VP8 key frame; of other frames it is one byte.
const VP8_KEY_ENVELOPE: usize = 10;
/// NAL unit header and slice header in front of a sealed H.264 frame, and the byte that ends it.
const H264_SLICE: usize = 5;

/// How a frame is going to be cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) key: bool,
    pub(crate) sealed: bool,
    pub(crate) max_payload: usize,
}

/// Returns how many bytes stand around a frame of this kind on the wire, at the most and without packet headers. Of H.264
/// the parameter sets, which have a packet of their own, are left out.
pub(crate) fn overhead(codec: Codec, key: bool, sealed: bool) -> usize {
    let envelope = match codec {
        Codec::H264 => H264_SLICE,
        _ if key => VP8_KEY_ENVELOPE,
        _ => 1,
    };
    if sealed { envelope + SFRAME_HEADER + INNER_HEADER + TAG } else { 0 }
}

impl Cut {
    /// Returns the number of packets of a frame of `length` bytes. Of an H.264 frame that is not sealed this is not known
    /// before it is cut: see [`payload::split`].
    pub(crate) fn packets(&self, codec: Codec, length: usize) -> usize {
        let wire = length + overhead(codec, self.key, self.sealed);
        match codec {
            // Parameter sets; a slice whose header byte moves into the two of each fragment.
            Codec::H264 => usize::from(self.key) + (wire - 1).div_ceil(self.max_payload - 2).max(1),
            _ => wire.div_ceil(self.max_payload - 1),
        }
    }

    /// Cuts a frame into the number of packets that its stamp says. Where a few bytes more or less than foreseen would
    /// make one more or fewer, packets are that much larger or smaller.
    pub(crate) fn split(
        &self,
        codec: Codec,
        wire: &[u8],
        packets: usize,
        out: &mut Payloads,
    ) -> Result<(), SplitError> {
        payload::split(codec, wire, self.key, self.max_payload, out)?;
        if out.len() == packets {
            return Ok(());
        }
        let apart = usize::from(codec == Codec::H264 && self.key);
        let parts = packets.saturating_sub(apart).max(1);
        let larger = out.iter().skip(apart).map(<[u8]>::len).sum::<usize>().div_ceil(parts);
        let fits = larger.clamp(payload::MIN_MAX_PAYLOAD, self.max_payload + LARGER);
        payload::split(codec, wire, self.key, fits, out)
    }
}

/// Bytes by which a packet may be larger than asked for; escapes inside H.264 cannot be foreseen.
const LARGER: usize = 48;
