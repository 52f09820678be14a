//! Plays reels in real time, each from its start again at its end, without drift.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::frame::{MediaFrame, TrackKind};
use crate::source::error::SourceError;
use crate::source::reel::Reel;
use crate::source::spec::SourceOptions;
use crate::source::{Source, SourceInfo};

/// Files as a source.
pub(crate) struct Paced {
    info: SourceInfo,
    reels: Vec<Playing>,
    looped: bool,
    paced: bool,
    /// When the frame of time 0 was due; set by the first frame asked for.
    zero: Option<Instant>,
    /// How much time was lost while nobody asked for frames (a machine asleep); part of every later time.
    lost: Duration,
}

struct Playing {
    reel: Reel,
    next: usize,
    /// Time at which the present round began.
    round: Duration,
}

impl Playing {
    fn due(&self) -> Option<Duration> {
        Some(self.round + self.reel.frames.get(self.next)?.pts)
    }

    fn advance(&mut self, looped: bool) {
        self.next += 1;
        if looped && self.next == self.reel.frames.len() {
            self.next = 0;
            self.round += self.reel.period;
        }
    }
}

impl Paced {
    /// Fails with [`SourceError::TwoOfAKind`] when two reels give the same kind of track.
    pub(crate) fn new(reels: Vec<Reel>, options: &SourceOptions) -> Result<Self, SourceError> {
        let mut info = SourceInfo::default();
        for reel in &reels {
            info.merge(&reel.info)?;
        }
        let reels = reels.into_iter().map(|reel| Playing { reel, next: 0, round: Duration::ZERO });
        Ok(Self {
            info,
            reels: reels.collect(),
            looped: options.looped,
            paced: options.paced,
            zero: None,
            lost: Duration::ZERO,
        })
    }

    async fn wait_until(&mut self, due: Duration) {
        let now = Instant::now();
        let zero = *self.zero.get_or_insert(now - due);
        let at = zero + due + self.lost;
        match now.checked_duration_since(at) {
            Some(late) if late > MOST_LATE => self.lost += late,
            Some(_) => {}
            None => tokio::time::sleep_until(at).await,
        }
    }
}

#[async_trait]
impl Source for Paced {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    async fn next(&mut self) -> Result<MediaFrame, SourceError> {
        // Where two are due at once, the input named first gives first.
        let chosen =
            self.reels.iter().enumerate().filter_map(|(index, playing)| Some((playing.due()?, index))).min();
        let (due, index) = chosen.ok_or(SourceError::Ended)?;
        if self.paced {
            self.wait_until(due).await;
        }
        let playing = &mut self.reels[index];
        let frame = &playing.reel.frames[playing.next];
        let frame = MediaFrame { pts: due + self.lost, ..frame.clone() };
        playing.advance(self.looped);
        Ok(frame)
    }
}

impl SourceInfo {
    /// Adds what another input gives; fails with [`SourceError::TwoOfAKind`].
    pub(crate) fn merge(&mut self, other: &Self) -> Result<(), SourceError> {
        let two = |kind: TrackKind| SourceError::TwoOfAKind {
            kind: match kind {
                TrackKind::Video => "video",
                TrackKind::Audio => "audio",
            },
        };
        if self.video.is_some() && other.video.is_some() {
            return Err(two(TrackKind::Video));
        }
        if self.audio.is_some() && other.audio.is_some() {
            return Err(two(TrackKind::Audio));
        }
        self.video = self.video.or(other.video);
        self.audio = self.audio.or(other.audio);
        self.notes.extend(other.notes.iter().cloned());
        Ok(())
    }
}

/// A source that is later than this gives up the lost time instead of sending it in one burst.
const MOST_LATE: Duration = Duration::from_secs(1);
