//! The bytes of a checkpoint block: read, verified, and the lengths of its parts.

use ed25519_dalek::{Signature, VerifyingKey};
use latchkey_api::id::GroupId;
use sha2::{Digest as _, Sha256};

use crate::kid::Kid;

/// Most bytes a block may have.
pub const MAX_BLOCK_BYTES: usize = 64 * 1024;

/// The first 16 bytes of the SHA-256 of a frame's SFrame bytes.
pub(super) type FrameHash = [u8; 16];
/// The SHA-256 of a whole block.
pub(super) type BlockHash = [u8; 32];
/// Drawn at each start of the camera.
pub(super) type ChainId = [u8; 16];

/// What the signature covers in front of the body: a context string, then the group id.
pub(super) const CONTEXT: &[u8] = b"latchkey checkpoint v1";
pub(super) const VERSION: u8 = 1;
/// Bytes of a body up to its ranges.
pub(super) const HEAD_LEN: usize = 1 + 16 + 8 + 8 + 32 + 1;
/// Bytes of a range up to its hashes.
pub(super) const RANGE_HEAD_LEN: usize = 8 + 8 + 2;
pub(super) const HASH_LEN: usize = 16;
pub(super) const SIGNATURE_LEN: usize = 64;

/// A block that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) chain: ChainId,
    pub(super) seq: u64,
    pub(super) covers_ms: u64,
    pub(super) previous: BlockHash,
    pub(super) ranges: Vec<Range>,
}

/// Frames of one key id with counters one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) kid: Kid,
    pub(super) first: u64,
    pub(super) hashes: Vec<FrameHash>,
}

/// A block is not one of the camera's, although the frame that carried it opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// Its bytes are not a block. The sender's fault: the camera makes no such block.
    #[error("a checkpoint is malformed")]
    Malformed,
    /// It is of a version that this program does not know.
    #[error("a checkpoint needs a newer version of this program")]
    UnknownVersion,
    /// The signature is not the camera's.
    #[error("a checkpoint is not signed by the camera")]
    BadSignature,
    /// The camera's signature is right, but the block does not follow the one before it: there are two
    /// histories with this camera's signature.
    #[error("a checkpoint does not follow the one before it")]
    TwoHistories,
}

impl Block {
    /// Reads a block and verifies its signature.
    pub(super) fn verify(bytes: &[u8], group: GroupId, camera: &VerifyingKey) -> Result<Self, BlockError> {
        let (block, body) = Self::read(bytes)?;
        let (_, signature) = bytes.split_last_chunk::<SIGNATURE_LEN>().ok_or(BlockError::Malformed)?;
        let input = [CONTEXT, &group.0, body].concat();
        let signature = Signature::from_bytes(signature);
        camera.verify_strict(&input, &signature).map_err(|_| BlockError::BadSignature)?;
        Ok(block)
    }

    /// Reads a block without looking at its signature; returns its body too.
    pub(super) fn read(bytes: &[u8]) -> Result<(Self, &[u8]), BlockError> {
        Self::parts(bytes).ok_or(BlockError::Malformed)?
    }

    fn parts(bytes: &[u8]) -> Option<Result<(Self, &[u8]), BlockError>> {
        if bytes.len() > MAX_BLOCK_BYTES {
            return None;
        }
        let (body, _) = bytes.split_last_chunk::<SIGNATURE_LEN>()?;
        let (&[version], rest) = body.split_first_chunk()?;
        if version != VERSION {
            return Some(Err(BlockError::UnknownVersion));
        }
        let (chain, rest) = rest.split_first_chunk()?;
        let (seq, rest) = rest.split_first_chunk()?;
        let (covers_ms, rest) = rest.split_first_chunk()?;
        let (previous, rest) = rest.split_first_chunk()?;
        let (&[count], mut rest) = rest.split_first_chunk()?;
        let mut ranges = Vec::new();
        for _ in 0..count {
            let (range, after) = Range::read(rest)?;
            ranges.push(range);
            rest = after;
        }
        let block = Self {
            chain: *chain,
            seq: u64::from_be_bytes(*seq),
            covers_ms: u64::from_be_bytes(*covers_ms),
            previous: *previous,
            ranges,
        };
        rest.is_empty().then_some(Ok((block, body)))
    }

    /// What the block says about a frame: its hash, where it is listed.
    pub(super) fn hash_of(&self, kid: Kid, ctr: u64) -> Option<&FrameHash> {
        let of_kid = self.ranges.iter().filter(|range| range.kid == kid);
        of_kid
            .filter_map(|range| range.hashes.get(usize::try_from(ctr.checked_sub(range.first)?).ok()?))
            .next()
    }

    /// The counter after the last one that is listed under a key id.
    pub(super) fn end_of(&self, kid: Kid) -> Option<u64> {
        self.ranges.iter().filter(|range| range.kid == kid).map(Range::end).max()
    }
}

impl Range {
    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (kid, rest) = bytes.split_first_chunk()?;
        let (first, rest) = rest.split_first_chunk()?;
        let (count, rest) = rest.split_first_chunk()?;
        let kid = Kid::from_value(u64::from_be_bytes(*kid))?;
        let first = u64::from_be_bytes(*first);
        let count = u16::from_be_bytes(*count);
        first.checked_add(u64::from(count))?;
        let (hashes, rest) = rest.split_at_checked(usize::from(count) * HASH_LEN)?;
        let hashes = hashes.as_chunks::<HASH_LEN>().0.to_vec();
        (count > 0).then_some((Self { kid, first, hashes }, rest))
    }

    pub(super) fn end(&self) -> u64 {
        self.first.saturating_add(self.hashes.len() as u64)
    }
}

/// Returns what a block lists a frame by.
pub(super) fn frame_hash(sframe: &[u8]) -> FrameHash {
    let hash: [u8; 32] = Sha256::digest(sframe).into();
    let mut short = FrameHash::default();
    short.copy_from_slice(&hash[..HASH_LEN]);
    short
}

/// Returns what the next block names a block by.
pub(super) fn block_hash(block: &[u8]) -> BlockHash {
    Sha256::digest(block).into()
}
