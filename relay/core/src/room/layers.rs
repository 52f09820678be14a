//! The layers of a room's sources: measured, paused when nobody watches, and told to operators.

use std::time::Instant;

use crate::id::{Rid, TrackId};
use crate::ladder::MOST_RUNGS;
use crate::room::Room;
use crate::track::Track;

/// One picture size of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerFigures {
    /// Its place in its source, 0 for the least.
    pub rung: usize,
    /// Its simulcast layer.
    pub track: TrackId,
    /// The publisher's name for that.
    pub rid: Option<Rid>,
    /// Its spatial layer, 0 for the smallest.
    pub spatial: u8,
    /// Temporal layers, at least 1.
    pub temporal_layers: u8,
    /// What it takes with all its frames.
    pub bits_per_second: u64,
    /// Legs that get it.
    pub legs: u32,
    /// Of these, the ones that get key frames only.
    pub key_frames_only: u32,
    /// The publisher was asked to pause it.
    pub paused: bool,
}

impl Room {
    /// The layers of every video source, each from the least to the most.
    pub fn layers(&self) -> Vec<LayerFigures> {
        let mut figures = Vec::new();
        self.count_layers(|layer| figures.push(layer));
        figures
    }

    /// Hands out what [`layers`](Self::layers) gives, without allocating.
    pub fn count_layers(&self, mut each: impl FnMut(LayerFigures)) {
        for source in self.tracks.sources() {
            let Some(first) = self.tracks.find(source.first()).filter(|track| track.is_video()) else {
                continue;
            };
            let rungs = source.ladder().rungs();
            let mut legs = [(0, 0); MOST_RUNGS];
            for leg in self.roster.iter().flat_map(|viewer| &viewer.legs) {
                if leg.subscription.source() == first.id()
                    && let Some(level) = leg.subscription.level(&self.tracks)
                {
                    let (all, thin) = &mut legs[level.rung];
                    *all += 1;
                    *thin += u32::from(level.temporal.is_none());
                }
            }
            for (place, (rung, (legs, key_frames_only))) in rungs.iter().zip(legs).enumerate() {
                let track = self.tracks.find(rung.track);
                each(LayerFigures {
                    rung: place,
                    track: rung.track,
                    rid: track.and_then(|track| track.params().rid),
                    spatial: rung.spatial,
                    temporal_layers: rung.temporal + 1,
                    bits_per_second: rung.full(),
                    legs,
                    key_frames_only,
                    paused: track.is_some_and(Track::is_paused),
                });
            }
        }
    }

    /// Measures, and asks for pauses. The smallest layer of a source is never paused: it is there for whoever comes.
    pub(super) fn look_after_layers(&mut self, sorting: bool, now: Instant) {
        self.tracks.measure(sorting, now);
        self.tracks.iter_mut().for_each(|track| track.set_watchers(0));
        for leg in self.roster.iter().flat_map(|viewer| &viewer.legs) {
            let [present, chosen] = leg.subscription.watched();
            for track in std::iter::once(present).chain((chosen != present).then_some(chosen)) {
                if let Some(track) = self.tracks.find_mut(track) {
                    track.set_watchers(track.watchers() + 1);
                }
            }
        }
        let Self { tracks, news, .. } = self;
        tracks.for_each_with_place(|place, track| track.ask_for_pause(place > 0, now, news));
    }
}
