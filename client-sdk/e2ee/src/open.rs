//! Opening: SFrame ciphertext becomes the camera's frame again, once, and only the camera's.
//!
//! All members can derive each other's sender keys (RFC 9605 section 5.2), so a key id that names another
//! leaf than the camera's is refused before any cipher runs. What authenticates nothing is remembered
//! nowhere: keys and replay windows are kept only for key ids under which a frame was really opened.
//!
//! A member that colludes with the relay can all the same seal frames as the camera, under any key id and counter,
//! until a [checkpoint](crate::checkpoint) shows them to be forged. So that this denies nothing that lasts:
//! - However many key ids it makes up, those of the camera are not pushed out: what the camera signed
//!   ([`FrameOpener::camera_signed`]) stays, and no key id is ever refused because there were too many.
//! - A counter far ahead makes the camera's own frames too old, but not for good: the block that such a frame
//!   carries still comes out ([`FrameOpener::block`]), and once it has shown what was forged,
//!   [`FrameOpener::forget_forged`] puts the window back: in seconds, or in a quarter of a minute where the forged
//!   frames claim to be from the future.

mod windows;

use std::time::Duration;

use latchkey_api::checks::{self, Check};
use latchkey_cipher::TAG_LEN;
use latchkey_wire::sframe_header::{MAX_LEN, SframeHeader};
use sframe::crypto::DecryptionBufferView;

use crate::checkpoint::MAX_BLOCK_BYTES;
use crate::cipher::OpeningKey;
use crate::inner::InnerHeader;
use crate::key_schedule::EpochKeys;
use crate::kid::{Kid, SenderSession};
use crate::open::windows::Windows;
use crate::seal::{BLOCK_LENGTH_LEN, MAX_FRAME_BYTES};

/// The camera's leaf in its group.
pub const CAMERA_LEAF: u8 = 0;
/// Epochs whose keys are kept at once.
pub const MAX_EPOCHS: usize = 3;

/// Opens the frames of one camera.
#[derive(Default)]
pub struct FrameOpener {
    /// In ascending order of epoch numbers; the last one is current.
    epochs: Vec<OpenEpoch>,
    aad: Vec<u8>,
    /// The checkpoint block of the frame opened last; empty when it carried none.
    block: Vec<u8>,
}

impl FrameOpener {
    /// Returns an opener that knows no epoch yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the keys of an epoch. Frames of the epochs before stay openable until [`Self::retire_epochs`]
    /// or until [`MAX_EPOCHS`] newer ones came. Keys of another group replace everything. `now` is the
    /// time since any fixed moment, as long as it never goes back.
    pub fn add_epoch(&mut self, keys: EpochKeys, now: Duration) {
        self.epochs.retain(|known| known.keys.group == keys.group);
        match self.epochs.binary_search_by_key(&keys.epoch, |known| known.keys.epoch) {
            Ok(_) => return,
            Err(at) if at == self.epochs.len() => {
                if let Some(before) = self.epochs.last_mut() {
                    before.superseded = Some(now);
                }
                self.epochs.push(OpenEpoch::new(keys, None));
            }
            Err(at) => self.epochs.insert(at, OpenEpoch::new(keys, Some(now))),
        }
        let surplus = self.epochs.len().saturating_sub(MAX_EPOCHS);
        self.epochs.drain(..surplus);
    }

    /// Drops the keys of epochs that were superseded at least `keep` ago: the relay's GOP cache plus 5 s.
    /// After a commit that removed somebody [`Self::limit_before`] shortens that.
    pub fn retire_epochs(&mut self, now: Duration, keep: Duration) {
        self.epochs.retain(|epoch| {
            let is_young = epoch.superseded.is_none_or(|since| now.saturating_sub(since) < keep);
            is_young && epoch.dies.is_none_or(|dies| now < dies)
        });
    }

    /// The commit that began `epoch` removed a member: keys of the epochs before are dropped in 2 s, unless
    /// [`Self::end_epoch`] says first where they end. Until then whoever was removed can make frames of the old
    /// epoch that open here.
    pub fn limit_before(&mut self, epoch: u64, now: Duration) {
        for before in self.epochs.iter_mut().filter(|before| before.keys.epoch < epoch) {
            if before.ended.is_none() {
                before.dies.get_or_insert(now.saturating_add(AFTER_REMOVAL));
            }
        }
    }

    /// The camera's signed record says where an epoch ended: under each key id its frames open up to the
    /// counter that is given, under other key ids of the epoch none does. Returns the key ids under which frames
    /// beyond that were opened already: a member forged them. An epoch that is not known, or the one in
    /// force, is left alone.
    pub fn end_epoch(&mut self, epoch: u64, last: &[(Kid, u64)]) -> Vec<Kid> {
        let newest = self.newest_epoch();
        let Some(ended) = self.epochs.iter_mut().find(|known| known.keys.epoch == epoch) else {
            return Vec::new();
        };
        if newest == Some(epoch) {
            return Vec::new();
        }
        ended.dies = None;
        ended.ended = Some(last.to_vec());
        ended.windows.beyond(last)
    }

    /// The camera signed frames under this key id: its replay window is the last that is given up.
    pub fn camera_signed(&mut self, kid: Kid) {
        for epoch in self.epochs.iter_mut().filter(|epoch| epoch.bits() == kid.epoch_bits()) {
            epoch.windows.name(kid);
        }
    }

    /// Frames were [forged](crate::checkpoint::Verdicts::forged), and the camera signed that it had sealed the
    /// counters below `end` under this key id: where much higher ones were opened, the frames from `end` on open
    /// again, and none before it.
    ///
    /// Call it after a verdict of forged frames only: whoever made those is a member, and can seal anew whatever
    /// might be shown a second time now. A relay alone must not bring it about.
    pub fn forget_forged(&mut self, kid: Kid, end: u64) {
        for epoch in self.epochs.iter_mut().filter(|epoch| epoch.bits() == kid.epoch_bits()) {
            epoch.windows.set_back(kid, end);
        }
    }

    /// The [checkpoint](crate::checkpoint) block that the frame given last carried, if it carried one. Of an
    /// authentic frame that is too old it comes out too, although the frame itself does not.
    #[must_use]
    pub fn block(&self) -> Option<&[u8]> {
        (!self.block.is_empty()).then_some(self.block.as_slice())
    }

    /// The newest epoch whose keys are known.
    #[must_use]
    pub fn newest_epoch(&self) -> Option<u64> {
        self.epochs.last().map(|epoch| epoch.keys.epoch)
    }

    /// Opens one frame. `sframe` are the SFrame bytes without the envelope, `envelope` the clear bytes
    /// that came with them. `out` becomes the codec frame; its capacity is used again.
    ///
    /// # Errors
    /// Any [`OpenError`]; then `out` is empty.
    pub fn open(&mut self, sframe: &[u8], envelope: &[u8], out: &mut Vec<u8>) -> Result<Opened, OpenError> {
        out.clear();
        self.block.clear();
        let (kid, ctr, body) = parse(sframe)?;
        if kid.leaf() != CAMERA_LEAF {
            return Err(OpenError::NotTheCamera);
        }
        let header_len = sframe.len() - body.len();
        self.aad.clear();
        self.aad.reserve(MAX_LEN + envelope.len());
        self.aad.extend_from_slice(sframe.get(..header_len).ok_or(OpenError::Malformed)?);
        if !checks::skipped(Check::FrameEnvelope) {
            self.aad.extend_from_slice(envelope);
        }
        let epoch = self.epochs.iter_mut().rev().find(|epoch| epoch.bits() == kid.epoch_bits());
        let epoch = epoch.ok_or(OpenError::UnknownEpoch)?;
        let opened =
            epoch.open(kid, ctr, &mut self.aad, body, Parts { block: &mut self.block, out: &mut *out });
        if let Err(error) = opened {
            out.clear();
            if error != OpenError::Replayed {
                self.block.clear();
            }
        }
        let header = opened?;
        Ok(Opened {
            header,
            kid,
            sender_leaf: kid.leaf(),
            session: kid.session(),
            track: kid.track(),
            ctr,
            epoch: epoch.keys.epoch,
        })
    }
}

/// A frame that was opened: authentic for the group, from the camera's key, and not seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What the camera says about the frame.
    pub header: InnerHeader,
    /// The key id.
    pub kid: Kid,
    /// The leaf of the sender, always [`CAMERA_LEAF`].
    pub sender_leaf: u8,
    /// The sender's session; it changes when the camera restarts.
    pub session: SenderSession,
    /// The track.
    pub track: u8,
    /// The counter.
    pub ctr: u64,
    /// The whole number of the MLS epoch.
    pub epoch: u64,
}

/// A frame cannot be opened. The fault is with the relay or whoever sent it, unless a variant says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Not an SFrame with a minimal header, our key id and room for an inner header; or larger than a frame may be.
    #[error("not an SFrame of ours")]
    Malformed,
    /// The key id names another leaf than the camera's.
    #[error("the frame does not claim to be from the camera")]
    NotTheCamera,
    /// The keys of that epoch are not known: a commit is still on its way, or the epoch is long over.
    #[error("the frame is of an epoch whose keys are not known")]
    UnknownEpoch,
    /// The camera's record says that it sealed no such frame in that epoch, which is over.
    #[error("the frame was sealed after its epoch was over")]
    EpochOver,
    /// The counter was accepted before, or is older than the replay window.
    #[error("the frame was seen before or is too old")]
    Replayed,
    /// The tag does not verify: wrong keys, or a changed byte in frame, header or envelope.
    #[error("the frame is not authentic")]
    AuthenticationFailed,
    /// An authentic frame of a newer format than this device knows.
    #[error("the frame needs a newer version of this program")]
    UnknownFormat,
}

struct OpenEpoch {
    keys: EpochKeys,
    superseded: Option<Duration>,
    /// When its keys are dropped, because a member was removed and the record of its end has not come.
    dies: Option<Duration>,
    /// The last counter of each key id, once the record of its end has come.
    ended: Option<Vec<(Kid, u64)>>,
    windows: Windows,
}

impl OpenEpoch {
    fn new(keys: EpochKeys, superseded: Option<Duration>) -> Self {
        Self { keys, superseded, dies: None, ended: None, windows: Windows::default() }
    }

    fn bits(&self) -> u8 {
        self.keys.epoch.to_be_bytes()[7]
    }

    fn open(
        &mut self,
        kid: Kid,
        ctr: u64,
        aad: &mut [u8],
        body: &[u8],
        parts: Parts<'_>,
    ) -> Result<InnerHeader, OpenError> {
        if let Some(ended) = &self.ended
            && !ended.iter().any(|(known, last)| *known == kid && ctr <= *last)
        {
            return Err(OpenError::EpochOver);
        }
        let Some(live) = self.windows.live(kid, &self.keys) else {
            let key = self.keys.opening_key(kid).ok_or(OpenError::AuthenticationFailed)?;
            let header = decrypt(&key, ctr, aad, body, parts)?;
            self.windows.begin(kid, key, ctr);
            return header.ok_or(OpenError::UnknownFormat);
        };
        if live.window.is_too_old(ctr) {
            // What the camera signed in it is not out of date.
            if decrypt(&live.key, ctr, aad, body, Parts { block: &mut *parts.block, out: parts.out }).is_err()
            {
                parts.block.clear();
            }
            return Err(OpenError::Replayed);
        }
        if !live.window.is_fresh(ctr) {
            return Err(OpenError::Replayed);
        }
        let header = decrypt(&live.key, ctr, aad, body, parts)?;
        live.window.accept(ctr);
        header.ok_or(OpenError::UnknownFormat)
    }
}

/// Where the parts of a plaintext go.
struct Parts<'a> {
    block: &'a mut Vec<u8>,
    out: &'a mut Vec<u8>,
}

/// Splits SFrame bytes into key id, counter and ciphertext; the header must be the shortest possible.
fn parse(sframe: &[u8]) -> Result<(Kid, u64, &[u8]), OpenError> {
    let header = SframeHeader::read(sframe).map_err(|_| OpenError::Malformed)?;
    let body = sframe.get(header.len..).ok_or(OpenError::Malformed)?;
    let sizes =
        InnerHeader::LEN + TAG_LEN..=InnerHeader::LEN + MAX_BLOCK_AND_LENGTH + MAX_FRAME_BYTES + TAG_LEN;
    if !sizes.contains(&body.len()) {
        return Err(OpenError::Malformed);
    }
    let kid = Kid::from_value(header.kid).ok_or(OpenError::Malformed)?;
    Ok((kid, header.ctr, body))
}

/// Decrypts and takes inner header and block off the front; the inner `None` is an unknown format.
fn decrypt(
    key: &OpeningKey,
    ctr: u64,
    aad: &mut [u8],
    body: &[u8],
    Parts { block, out }: Parts<'_>,
) -> Result<Option<InnerHeader>, OpenError> {
    out.extend_from_slice(body);
    let buffer = DecryptionBufferView { aad, data: out.as_mut_slice() };
    key.decrypt(buffer, ctr).map_err(|_| OpenError::AuthenticationFailed)?;
    out.truncate(body.len() - TAG_LEN);
    let header = *out.first_chunk::<{ InnerHeader::LEN }>().ok_or(OpenError::Malformed)?;
    let Some(parsed) = InnerHeader::from_bytes(header) else { return Ok(None) };
    let mut front = InnerHeader::LEN;
    if InnerHeader::announces_block(header) {
        let Some(carried) = split_block(out.get(front..).unwrap_or_default()) else { return Ok(None) };
        block.extend_from_slice(carried);
        front += BLOCK_LENGTH_LEN + carried.len();
    }
    out.drain(..front);
    Ok(Some(parsed))
}

/// The block at the front, behind its length; `None` when there is none of a size that blocks have.
fn split_block(bytes: &[u8]) -> Option<&[u8]> {
    let (len, rest) = bytes.split_first_chunk::<BLOCK_LENGTH_LEN>()?;
    let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
    if !(1..=MAX_BLOCK_BYTES).contains(&len) {
        return None;
    }
    rest.get(..len)
}

/// How long keys of an epoch stay after a commit that removed somebody, until its record comes.
const AFTER_REMOVAL: Duration = Duration::from_secs(2);
const MAX_BLOCK_AND_LENGTH: usize = BLOCK_LENGTH_LEN + MAX_BLOCK_BYTES;

#[cfg(test)]
mod tests;
