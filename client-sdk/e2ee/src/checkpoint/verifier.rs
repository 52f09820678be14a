//! The viewer's side: compares what was opened with what the camera signed.

use std::collections::VecDeque;
use std::ops::AddAssign;
use std::time::Duration;

use ed25519_dalek::VerifyingKey;
use latchkey_api::id::GroupId;

use super::block::{Block, BlockError, BlockHash, ChainId, FrameHash, block_hash, frame_hash};
use crate::kid::Kid;
use crate::open::Opened;

/// Gives each frame that a viewer opened one verdict, at most 15 s later: signed by the camera, not verified, or
/// forged.
///
/// A viewer that joins begins with the first block it sees. Blocks that never came leave frames unverified;
/// nothing that loss, disorder or a restart of the camera does makes a frame forged.
pub struct CheckpointVerifier {
    group: GroupId,
    camera: VerifyingKey,
    run: Option<Run>,
    /// Frames without a verdict, the oldest first.
    pending: VecDeque<Pending>,
}

/// Frames that got their verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// The camera's signature covers them.
    pub signed: u64,
    /// The block that should list them never came, or lies before the first one seen.
    pub unverified: u64,
    /// The camera did not seal them.
    pub forged: u64,
    /// How the first forged one was found.
    pub first_forged: Option<Forgery>,
}

/// How a frame was found to be forged although it opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Forgery {
    /// The camera signed another frame under this key id and counter.
    #[error("the camera signed another frame with counter {ctr}")]
    Contradicted {
        /// The key id.
        kid: Kid,
        /// The counter.
        ctr: u64,
    },
    /// The camera signed what it had sealed until then, and this frame is not in it.
    #[error("the camera did not sign the frame with counter {ctr}")]
    Unlisted {
        /// The key id.
        kid: Kid,
        /// The counter.
        ctr: u64,
    },
}

struct Pending {
    kid: Kid,
    ctr: u64,
    hash: FrameHash,
    captured_ms: u64,
    since: Duration,
    /// Blocks of the chain that came since, not overtaken by it, and do not list it.
    blocks: u32,
    last_block: Duration,
}

/// The blocks of one chain since the last gap in it: what the camera sealed after the first of them is listed in
/// the others.
struct Run {
    chain: ChainId,
    first_seq: u64,
    /// What the first block covers, and when it came.
    first_ms: u64,
    since: Duration,
    /// When the newest block came.
    latest: Duration,
    /// The newest blocks, the newest last; those from before the gap too.
    kept: VecDeque<(BlockHash, Block)>,
}

#[derive(Clone, Copy)]
enum Judgement {
    Signed,
    Forged(Forgery),
    Unverified,
    NotYet,
}

impl CheckpointVerifier {
    /// Returns a verifier for frames of `group` and blocks signed by its camera, whose Ed25519 key is in the
    /// device list.
    ///
    /// # Errors
    /// [`BlockError::BadSignature`] when the bytes are no Ed25519 key: nothing can be signed by it.
    pub fn new(group: GroupId, camera: &[u8; 32]) -> Result<Self, BlockError> {
        let camera = VerifyingKey::from_bytes(camera).map_err(|_| BlockError::BadSignature)?;
        Ok(Self { group, camera, run: None, pending: VecDeque::new() })
    }

    /// The group whose frames are compared.
    #[must_use]
    pub fn group(&self) -> GroupId {
        self.group
    }

    /// Whether a block of the camera was seen.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.run.is_some()
    }

    /// What the newest block signs: key ids, and one more than the highest counter that the camera had sealed under
    /// each. For [`FrameOpener::camera_signed`](crate::open::FrameOpener::camera_signed).
    pub fn signed(&self) -> impl Iterator<Item = (Kid, u64)> {
        let newest = self.run.as_ref().and_then(|run| run.kept.back());
        newest.into_iter().flat_map(|(_, block)| &block.ranges).map(|range| (range.kid, range.end()))
    }

    /// Takes a frame that was opened at `now` from these SFrame bytes. `now` is the time since any fixed moment.
    pub fn frame(&mut self, opened: &Opened, sframe: &[u8], now: Duration) -> Verdicts {
        let mut verdicts = self.expire(now);
        let frame = Pending {
            kid: opened.kid,
            ctr: opened.ctr,
            hash: frame_hash(sframe),
            captured_ms: opened.header.captured_ms,
            since: now,
            blocks: 0,
            last_block: now,
        };
        if !verdicts.count(self.judge(&frame)) {
            self.pending.push_back(frame);
            if self.pending.len() > MAX_PENDING {
                self.pending.pop_front();
                verdicts.unverified += 1;
            }
        }
        verdicts
    }

    /// Takes the block that an opened frame carried; one that was seen before changes nothing.
    ///
    /// # Errors
    /// Any [`BlockError`]; all but [`BlockError::UnknownVersion`] mean that a member forged the frame, or the
    /// camera. The block is left alone then.
    pub fn block(&mut self, bytes: &[u8], now: Duration) -> Result<Verdicts, BlockError> {
        let hash = block_hash(bytes);
        if self.run.as_ref().is_some_and(|run| run.kept.iter().any(|(known, _)| *known == hash)) {
            return Ok(self.expire(now));
        }
        let block = Block::verify(bytes, self.group, &self.camera)?;
        let mut is_newest = true;
        match &mut self.run {
            Some(run) if run.chain == block.chain => {
                is_newest = run.follow(hash, block, now)?;
            }
            // Of an earlier run of the camera, kept by somebody and put into a frame of his own.
            Some(run) if !run.gives_way_to(&block, now) => return Ok(self.expire(now)),
            run => *run = Some(Run::begin(hash, block, now)),
        }
        let mut verdicts = Verdicts::default();
        for mut frame in std::mem::take(&mut self.pending) {
            if is_newest && now.saturating_sub(frame.since) >= OVERTAKEN {
                frame.blocks += 1;
                frame.last_block = now;
            }
            if !verdicts.count(self.judge(&frame)) {
                self.pending.push_back(frame);
            }
        }
        verdicts += self.expire(now);
        Ok(verdicts)
    }

    /// Gives up waiting for blocks that should have come. Frames do it too; call it when none come.
    pub fn expire(&mut self, now: Duration) -> Verdicts {
        let mut verdicts = Verdicts::default();
        while let Some(frame) = self.pending.front()
            && now.saturating_sub(frame.since) >= LONGEST_WAIT
        {
            // It says that it was captured after every block that came long after it.
            let waited = frame.last_block.saturating_sub(frame.since);
            if frame.blocks >= 2 && waited >= SKEW && self.run.as_ref().is_some_and(|run| run.is_old(now)) {
                verdicts.count(Judgement::Forged(frame.unlisted()));
            } else {
                verdicts.unverified += 1;
            }
            self.pending.pop_front();
        }
        verdicts
    }

    fn judge(&self, frame: &Pending) -> Judgement {
        let Some(run) = &self.run else { return Judgement::NotYet };
        let (kid, ctr) = (frame.kid, frame.ctr);
        if let Some(listed) = run.kept.iter().find_map(|(_, block)| block.hash_of(kid, ctr)) {
            let is_same = *listed == frame.hash;
            return if is_same { Judgement::Signed } else { Judgement::Forged(frame.contradicted()) };
        }
        let is_settled_by = |block: &Block| frame.captured_ms.saturating_add(MARGIN_MS) <= block.covers_ms;
        // Two blocks, because the first may be the one before the frame, and the camera's clock may have been set back
        // since.
        if frame.blocks < 2 || !run.kept.back().is_some_and(|(_, newest)| is_settled_by(newest)) {
            return Judgement::NotYet;
        }
        let is_counted =
            |block: &Block| block.end_of(kid).is_some_and(|end| end <= ctr) && is_settled_by(block);
        // The camera counted less far, or had to list it in a block that is there, or it is older than whatever
        // a relay sends by rights.
        let is_forged = run.blocks().any(is_counted)
            || run.must_list(frame.captured_ms) && frame.since >= run.since.saturating_add(SKEW)
            || run.is_old(frame.last_block);
        if is_forged { Judgement::Forged(frame.unlisted()) } else { Judgement::Unverified }
    }
}

impl Run {
    fn begin(hash: BlockHash, block: Block, now: Duration) -> Self {
        Self {
            chain: block.chain,
            first_seq: block.seq,
            first_ms: block.covers_ms,
            since: now,
            latest: now,
            kept: VecDeque::from([(hash, block)]),
        }
    }

    /// Takes a block of the same chain; returns whether it is the newest.
    fn follow(&mut self, hash: BlockHash, block: Block, now: Duration) -> Result<bool, BlockError> {
        let at = self.kept.partition_point(|(_, known)| known.seq < block.seq);
        if !self.is_between(at, &hash, &block) {
            return Err(BlockError::TwoHistories);
        }
        let is_newest = at == self.kept.len();
        if is_newest {
            let follows =
                self.kept.back().is_some_and(|(_, last)| last.seq.checked_add(1) == Some(block.seq));
            if !follows {
                (self.first_seq, self.first_ms, self.since) = (block.seq, block.covers_ms, now);
            }
            self.latest = now;
        }
        // One that was overtaken, as at a switch of layers, tells what it lists; what the run proves stays as it is.
        if at > 0 || self.kept.len() < MAX_KEPT {
            self.kept.insert(at, (hash, block));
        }
        if self.kept.len() > MAX_KEPT {
            self.kept.pop_front();
        }
        Ok(is_newest)
    }

    /// Whether a block may stand at this place: no other has its number, and those beside it name each other.
    fn is_between(&self, at: usize, hash: &BlockHash, block: &Block) -> bool {
        let before = at.checked_sub(1).and_then(|before| self.kept.get(before));
        let after = self.kept.get(at);
        let follows = |(known_hash, known): &(BlockHash, Block)| {
            known.seq.checked_add(1) != Some(block.seq) || block.previous == *known_hash
        };
        let precedes = |(_, known): &(BlockHash, Block)| {
            known.seq != block.seq && (block.seq.checked_add(1) != Some(known.seq) || known.previous == *hash)
        };
        before.is_none_or(follows) && after.is_none_or(precedes)
    }

    /// Whether a block of another chain begins a new run: it covers later frames than this one does, or nothing
    /// came of this one any more, since the camera's clock was set back when it started.
    fn gives_way_to(&self, block: &Block, now: Duration) -> bool {
        self.kept.back().is_none_or(|(_, newest)| block.covers_ms > newest.covers_ms)
            || now.saturating_sub(self.latest) >= ABANDONED
    }

    fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.kept.iter().map(|(_, block)| block).filter(|block| block.seq >= self.first_seq)
    }

    /// Whether a frame captured then is listed in one of the blocks that are kept, if it is the camera's and its
    /// clock was right.
    fn must_list(&self, captured_ms: u64) -> bool {
        let oldest = self.blocks().next().map_or(0, |block| block.covers_ms);
        captured_ms > self.first_ms.max(oldest).saturating_add(MARGIN_MS)
    }

    /// Whether whatever a relay sends by rights must be listed: its cache does not reach back so far.
    fn is_old(&self, now: Duration) -> bool {
        now.saturating_sub(self.since) >= OLD
    }
}

impl Pending {
    fn contradicted(&self) -> Forgery {
        Forgery::Contradicted { kid: self.kid, ctr: self.ctr }
    }

    fn unlisted(&self) -> Forgery {
        Forgery::Unlisted { kid: self.kid, ctr: self.ctr }
    }
}

impl Verdicts {
    /// Counts a judgement; returns false when there is none yet.
    fn count(&mut self, judgement: Judgement) -> bool {
        match judgement {
            Judgement::Signed => self.signed += 1,
            Judgement::Unverified => self.unverified += 1,
            Judgement::Forged(how) => {
                self.forged += 1;
                self.first_forged.get_or_insert(how);
            }
            Judgement::NotYet => return false,
        }
        true
    }
}

impl AddAssign for Verdicts {
    fn add_assign(&mut self, more: Self) {
        self.signed += more.signed;
        self.unverified += more.unverified;
        self.forged += more.forged;
        self.first_forged = self.first_forged.or(more.first_forged);
    }
}

/// How far a frame's capture time must lie before what a block covers until the block must list it: clocks are
/// set by small steps.
const MARGIN_MS: u64 = 500;
/// How old a run of blocks is when no relay's cache reaches before it.
const OLD: Duration = Duration::from_secs(30);
/// How long no block of a chain came when another chain may take its place whatever the clock says.
const ABANDONED: Duration = Duration::from_secs(10);
/// How long a frame waits for the block that lists it.
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// How long a block may be under way behind a frame that was sealed after the last copy of it.
const OVERTAKEN: Duration = Duration::from_secs(2);
/// How far apart tracks may be on their way.
const SKEW: Duration = Duration::from_secs(5);
/// Blocks that are kept for frames that come late: 32 s and more.
const MAX_KEPT: usize = 64;
/// Frames that wait at most: 15 s at more than 500 per second.
const MAX_PENDING: usize = 8192;
