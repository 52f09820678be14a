//! A camera's frames on their way to packets: stamped, sealed where they are to be, and cut.

use std::time::SystemTime;

use latchkey_e2ee::inner::InnerHeader;
use latchkey_e2ee::key_schedule::EpochKeys;
use latchkey_e2ee::seal::SealError;
use latchkey_wire::codec::Codec;
use latchkey_wire::envelope::{self, BuildError, EnvelopeBuilder};
use latchkey_wire::payload::{Payloads, SplitError};

use crate::fleet::camera::Sealing;
use crate::fleet::content::cut::Cut;
use crate::fleet::content::{Content, Shape, Stamp, Wants};

/// A frame cannot be sent. The fault is in the content, or ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum FrameError {
    #[error("the content cannot be sealed: {0}")]
    Envelope(#[from] BuildError),
    #[error("a frame cannot be sealed: {0}")]
    Seal(#[from] SealError),
    #[error("a frame cannot be cut into packets: {0}")]
    Split(#[from] SplitError),
}

/// Makes one frame after the other in buffers that are used again.
pub(crate) struct Frames {
    content: Content,
    sealing: Sealing,
    codec: Codec,
    max_payload: usize,
    envelopes: EnvelopeBuilder,
    timestamp: u32,
    picture: Vec<u8>,
    clear: Vec<u8>,
    sealed: Vec<u8>,
    wire: Vec<u8>,
    payloads: Payloads,
}

impl Frames {
    pub(crate) fn new(content: Content, sealing: Sealing, shape: &Shape) -> Self {
        let codec = content.codec();
        Self {
            content,
            sealing,
            codec,
            max_payload: shape.max_payload(),
            envelopes: EnvelopeBuilder::new(codec),
            timestamp: 0,
            picture: Vec::new(),
            clear: Vec::new(),
            sealed: Vec::new(),
            wire: Vec::new(),
            payloads: Payloads::new(),
        }
    }

    /// Makes the next frame; where `key` is, or its turn has come, a key frame. `stamp` is given the number of its packets.
    pub(crate) fn make(
        &mut self,
        key: bool,
        timestamp: u32,
        stamp: impl Fn(u16) -> Stamp,
    ) -> Result<(), FrameError> {
        self.timestamp = timestamp;
        let sealed = matches!(self.sealing, Sealing::Sealed(_));
        let wants = Wants { key, sealed, max_payload: self.max_payload };
        let (key, packets) = self.content.next(wants, stamp, &mut self.payloads, &mut self.picture);
        let cut = Cut { key, sealed, max_payload: self.max_payload };
        let wire = match &mut self.sealing {
            Sealing::Plain => &self.picture,
            Sealing::Sealed(sealer) => {
                let header = InnerHeader::new(SystemTime::now(), key, self.codec);
                self.envelopes.build(key, &self.picture, &mut self.clear)?;
                sealer.seal(VIDEO, header, &self.clear, &self.picture, &mut self.sealed)?;
                envelope::join(self.codec, &self.clear, &self.sealed, &mut self.wire);
                &self.wire
            }
        };
        Ok(cut.split(self.codec, wire, packets, &mut self.payloads)?)
    }

    /// Seals all frames from the next one on with these keys; nothing where frames are not sealed.
    pub(crate) fn rekey(&mut self, keys: &EpochKeys) -> Result<(), SealError> {
        match &mut self.sealing {
            Sealing::Sealed(sealer) => sealer.rekey(keys),
            Sealing::Plain => Ok(()),
        }
    }

    /// Returns the epoch whose keys seal.
    pub(crate) fn epoch(&self) -> Option<u64> {
        match &self.sealing {
            Sealing::Sealed(sealer) => Some(sealer.epoch()),
            Sealing::Plain => None,
        }
    }

    /// Returns the number of packets of the present frame.
    pub(crate) fn packets(&self) -> usize {
        self.payloads.len()
    }

    /// Returns RTP timestamp and payload of one of its packets; an empty payload beyond the last.
    pub(crate) fn packet(&self, index: usize) -> (u32, &[u8]) {
        (self.timestamp, self.payloads.iter().nth(index).unwrap_or_default())
    }
}

/// SFrame track of a camera's picture.
const VIDEO: u8 = 0;
