//! Plays reels in real time, each from its start again at its end, without drift.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};

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
    clock: Clock,
}

/// When frames are due.
#[derive(Debug, Default)]
struct Clock {
    /// When the frame of time 0 was due; set by the first frame asked for.
    zero: Option<Instant>,
    /// How much time was lost while nobody asked for frames (a machine asleep); part of every later time.
    lost: Duration,
}

impl Clock {
    /// Until when to wait for the frame of time `due`; not at all when it is late. A frame that is very late takes
    /// the clock with it.
    fn wait(&mut self, due: Duration, now: Instant) -> Option<Instant> {
        let zero = *self.zero.get_or_insert(now - due);
        let at = zero + due + self.lost;
        let late = now.saturating_duration_since(at);
        if late > MOST_LATE {
            self.lost += late;
        }
        (at > now).then_some(at)
    }
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
            clock: Clock::default(),
        })
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
        if self.paced
            && let Some(at) = self.clock.wait(due, Instant::now())
        {
            sleep_until(at).await;
        }
        let playing = &mut self.reels[index];
        let frame = &playing.reel.frames[playing.next];
        let frame = MediaFrame { pts: due + self.clock.lost, ..frame.clone() };
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bytes::Bytes;

    use crate::frame::Codec;

    fn reel(track: TrackKind, codec: Codec, frames: u32, every: Duration) -> Reel {
        let frame = |index| MediaFrame {
            track,
            codec,
            key: index == 0,
            pts: every * index,
            duration: every,
            geometry: None,
            data: Bytes::from(vec![index as u8]),
        };
        let info = match track {
            TrackKind::Video => SourceInfo::default(),
            TrackKind::Audio => SourceInfo { audio: Some(codec), ..SourceInfo::default() },
        };
        Reel { frames: (0..frames).map(frame).collect(), period: every * frames, info }
    }

    #[test]
    fn waiting_does_not_drift_and_a_long_sleep_is_not_made_up_for() {
        let start = Instant::now();
        let mut clock = Clock::default();
        let every = Duration::from_millis(40);
        assert_eq!(clock.wait(Duration::ZERO, start), None);
        // Each frame is asked for 3 ms after the one before was given: the waits stay on the grid.
        for index in 1..1_000 {
            let now = start + every * (index - 1) + Duration::from_millis(3);
            assert_eq!(clock.wait(every * index, now), Some(start + every * index));
        }
        let woken = start + Duration::from_secs(3_600);
        assert_eq!(clock.wait(every * 1_000, woken), None);
        assert_eq!(clock.lost, Duration::from_secs(3_560));
        assert_eq!(clock.wait(every * 1_001, woken), Some(woken + every));
    }

    #[tokio::test]
    async fn frames_come_in_the_order_they_are_due_and_none_is_lost_when_waiting_is_broken_off() {
        let video = reel(TrackKind::Video, Codec::Vp8, 5, Duration::from_millis(10));
        let audio = reel(TrackKind::Audio, Codec::Opus, 7, Duration::from_millis(4));
        let mut source = Paced::new(vec![video, audio], &SourceOptions::default()).unwrap();
        let mut times = [Vec::new(), Vec::new()];
        while times[0].len() < 12 {
            // A caller that also does other things.
            let step = tokio::time::timeout(Duration::from_millis(1), source.next()).await;
            if let Ok(frame) = step {
                let frame = frame.unwrap();
                times[usize::from(frame.track == TrackKind::Audio)]
                    .push((frame.pts.as_millis(), frame.data[0]));
            }
        }
        let expected = |every: u128, frames: u128, count: usize| -> Vec<_> {
            (0..count as u128).map(|index| (index * every, (index % frames) as u8)).collect()
        };
        assert_eq!(times[0], expected(10, 5, times[0].len()));
        assert_eq!(times[1], expected(4, 7, times[1].len()));
    }

    #[tokio::test]
    async fn a_source_that_does_not_start_over_ends() {
        let video = reel(TrackKind::Video, Codec::Vp8, 3, Duration::from_millis(1));
        let options = SourceOptions { looped: false, ..SourceOptions::default() };
        let mut source = Paced::new(vec![video], &options).unwrap();
        for _ in 0..3 {
            source.next().await.unwrap();
        }
        assert_eq!(source.next().await, Err(SourceError::Ended));
        assert_eq!(source.next().await, Err(SourceError::Ended));
    }
}
