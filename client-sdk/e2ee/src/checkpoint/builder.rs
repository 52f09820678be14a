//! The camera's side: remembers what was sealed and signs it now and then.

use std::time::Duration;

use ed25519_dalek::{Signer as _, SigningKey};
use latchkey_api::id::GroupId;

use super::block::{
    BlockHash, CONTEXT, ChainId, FrameHash, HASH_LEN, HEAD_LEN, MAX_BLOCK_BYTES, RANGE_HEAD_LEN,
    SIGNATURE_LEN, VERSION, block_hash, frame_hash,
};
use super::copies::{COPIES, Copies, Turn};
use crate::identity::DeviceIdentity;
use crate::kid::Kid;
use crate::seal::Sealed;

/// The camera's Ed25519 key of MLS, for checkpoints. Erased when dropped.
pub struct CheckpointSigner {
    key: SigningKey,
}

impl CheckpointSigner {
    /// Returns the signer of a camera.
    ///
    /// # Errors
    /// [`CheckpointError::Key`].
    pub fn new(camera: &DeviceIdentity) -> Result<Self, CheckpointError> {
        let pair = camera.signing_keypair();
        let pair = pair.first_chunk().ok_or(CheckpointError::Key)?;
        let key = SigningKey::from_keypair_bytes(pair).map_err(|_| CheckpointError::Key)?;
        Ok(Self { key })
    }
}

/// Makes the checkpoint blocks of one run of a camera. Once warm it allocates nothing.
pub struct CheckpointBuilder {
    key: SigningKey,
    group: GroupId,
    chain: ChainId,
    seq: u64,
    previous: BlockHash,
    /// Frames that no block lists yet, in the order in which they were sealed.
    noted: Vec<Noted>,
    /// What was signed last: context, group, body and signature.
    bytes: Vec<u8>,
    made: Option<Duration>,
    copies: Copies,
}

/// The frame that is about to be sealed, as far as a block in it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carrier {
    /// The number of its track in key identifiers. A viewer gets one layer of a picture, so each track carries
    /// each block.
    pub track: u8,
    /// Whether decoding can start at it.
    pub key_frame: bool,
    /// Bytes that a block in it may have at most; 0 where a relay may leave the frame out for a viewer of its track.
    pub room: usize,
}

/// A camera cannot sign checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The operating system gave no random numbers.
    #[error("the operating system gives no random numbers")]
    NoRandomness,
    /// The key of the device cannot be used. Ours.
    #[error("the key of this device cannot sign")]
    Key,
}

struct Noted {
    kid: Kid,
    ctr: u64,
    captured_ms: u64,
    hash: FrameHash,
    listed: bool,
}

impl CheckpointBuilder {
    /// Begins a chain of blocks for the frames that a camera seals in `group`.
    ///
    /// # Errors
    /// [`CheckpointError::NoRandomness`].
    pub fn new(signer: &CheckpointSigner, group: GroupId) -> Result<Self, CheckpointError> {
        let mut builder = Self {
            key: signer.key.clone(),
            group,
            chain: ChainId::default(),
            seq: 0,
            previous: BlockHash::default(),
            noted: Vec::with_capacity(NOTED_AT_FIRST),
            bytes: Vec::with_capacity(BYTES_AT_FIRST),
            made: None,
            copies: Copies::new(),
        };
        builder.restart(group)?;
        Ok(builder)
    }

    /// Begins a new chain in `group`; what was noted is forgotten, and viewers will say "not verified" of it.
    ///
    /// # Errors
    /// [`CheckpointError::NoRandomness`]; then nothing has changed.
    pub fn restart(&mut self, group: GroupId) -> Result<(), CheckpointError> {
        let mut chain = ChainId::default();
        getrandom::fill(&mut chain).map_err(|_| CheckpointError::NoRandomness)?;
        (self.group, self.chain, self.seq, self.previous) = (group, chain, 0, BlockHash::default());
        self.noted.clear();
        self.made = None;
        self.copies.begin(0);
        Ok(())
    }

    /// The group whose frames are signed.
    #[must_use]
    pub fn group(&self) -> GroupId {
        self.group
    }

    /// Remembers a frame that was sealed, carriers of blocks too, in the order of sealing. `captured_ms` is
    /// the capture time in its inner header.
    ///
    /// # Errors
    /// [`CheckpointError::NoRandomness`] when a new chain had to begin, because no frame could carry a block for
    /// very long, and could not.
    pub fn note(&mut self, sealed: Sealed, captured_ms: u64, sframe: &[u8]) -> Result<(), CheckpointError> {
        if self.noted.len() >= MAX_NOTED {
            self.restart(self.group)?;
        }
        let (kid, ctr) = (sealed.kid, sealed.ctr);
        self.noted.push(Noted { kid, ctr, captured_ms, hash: frame_hash(sframe), listed: false });
        Ok(())
    }

    /// The block that the next frame is to carry, if it is to carry one: a new one every 2 s and at key frames
    /// half a second apart, each twice in every track that has frames, and the newest one in every key frame: whoever
    /// begins there, or comes from another layer, goes on from it. `now` is the time since any fixed moment.
    pub fn due(&mut self, now: Duration, carrier: Carrier) -> Option<&[u8]> {
        let Carrier { track, key_frame, room } = carrier;
        if room == 0 {
            return None;
        }
        let since = self.made.map(|made| now.saturating_sub(made));
        let room = room.min(MAX_BLOCK_BYTES);
        let full = self.noted.len().saturating_mul(HASH_LEN).saturating_add(OVERHEAD) >= room;
        let is_time = since.is_none_or(|since| since >= INTERVAL || key_frame && since >= KEY_FRAME_INTERVAL);
        let new = !self.noted.is_empty() && (is_time || full);
        let fits = since.is_some() && self.block().len() <= room;
        let copies = if since.is_some() { COPIES } else { 0 };
        let turn = self.copies.turn(track, now, copies, new);
        if turn == Turn::Carry && fits {
            self.copies.carried(track, now);
            return Some(self.block());
        }
        if turn == Turn::Carry {
            self.copies.give_up(track);
        }
        if turn != Turn::Wait && new && room >= OVERHEAD + HASH_LEN && self.copies.are_made(now) {
            self.make((room - OVERHEAD) / HASH_LEN);
            self.made = Some(now);
            self.copies.begin(COPIES);
            self.copies.carried(track, now);
            return Some(self.block());
        }
        (key_frame && fits).then(|| self.block())
    }

    /// Signs the oldest noted frames, at most `most` of them.
    fn make(&mut self, most: usize) {
        let most = most.min(self.noted.len());
        let (noted, _) = self.noted.split_at_mut(most);
        self.bytes.clear();
        self.bytes.extend_from_slice(CONTEXT);
        self.bytes.extend_from_slice(&self.group.0);
        self.bytes.push(VERSION);
        self.bytes.extend_from_slice(&self.chain);
        self.bytes.extend_from_slice(&self.seq.to_be_bytes());
        let covers_at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 8]);
        self.bytes.extend_from_slice(&self.previous);
        self.bytes.push(0);
        let ranges_at = self.bytes.len() - 1;
        let mut ranges = 0;
        while ranges < MAX_RANGES
            && let Some(first) = noted.iter().find(|noted| !noted.listed)
        {
            let (kid, mut next) = (first.kid, first.ctr);
            let count_at = self.bytes.len() + RANGE_HEAD_LEN - 2;
            self.bytes.extend_from_slice(&kid.value().to_be_bytes());
            self.bytes.extend_from_slice(&next.to_be_bytes());
            self.bytes.extend_from_slice(&[0; 2]);
            let mut count: u16 = 0;
            for noted in noted.iter_mut().filter(|noted| noted.kid == kid && !noted.listed) {
                if noted.ctr != next || count == u16::MAX {
                    break;
                }
                noted.listed = true;
                self.bytes.extend_from_slice(&noted.hash);
                next = next.saturating_add(1);
                count += 1;
            }
            self.bytes[count_at..count_at + 2].copy_from_slice(&count.to_be_bytes());
            ranges += 1;
        }
        // What stays unlisted, because there were too many ranges, comes first next time.
        let done = noted.iter().position(|noted| !noted.listed).unwrap_or(most);
        let covers_ms = noted.get(done.saturating_sub(1)).map_or(0, |last| last.captured_ms);
        self.bytes[covers_at..covers_at + 8].copy_from_slice(&covers_ms.to_be_bytes());
        self.bytes[ranges_at] = ranges;
        self.noted.retain(|noted| !noted.listed);
        let signature = self.key.sign(&self.bytes).to_bytes();
        self.bytes.extend_from_slice(&signature);
        self.previous = block_hash(self.block());
        self.seq += 1;
    }

    fn block(&self) -> &[u8] {
        self.bytes.get(CONTEXT.len() + self.group.0.len()..).unwrap_or_default()
    }

    #[cfg(test)]
    pub(super) fn set_chain(&mut self, chain: ChainId) {
        self.chain = chain;
    }
}

/// How often a block is made, and how far apart at least the ones at key frames are.
const INTERVAL: Duration = Duration::from_secs(2);
const KEY_FRAME_INTERVAL: Duration = Duration::from_millis(500);
/// Frames that wait for a block at most.
const MAX_NOTED: usize = 4096;
/// Ranges of a block at most.
const MAX_RANGES: u8 = 8;
/// Bytes of a block without its hashes, at most.
const OVERHEAD: usize = HEAD_LEN + MAX_RANGES as usize * RANGE_HEAD_LEN + SIGNATURE_LEN;
/// What is set aside at the start: three layers and sound, 140 frames per second, for 2 s and more.
const NOTED_AT_FIRST: usize = 512;
const BYTES_AT_FIRST: usize = 16 * 1024;
