//! The layers of a room's sources: measured, paused when nobody watches, and told to operators.

use std::time::Instant;

use crate::id::{Rid, TrackId};
use crate::room::Room;

/// One picture size of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerFigures {
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
        for source in self.tracks.sources() {
            let Some(first) = self.tracks.find(source.first()).filter(|track| track.is_video()) else {
                continue;
            };
            let levels = self.roster.iter().flat_map(|viewer| &viewer.legs).filter_map(|leg| {
                (leg.subscription.source() == first.id()).then(|| leg.subscription.level(&self.tracks))?
            });
            let levels: Vec<_> = levels.collect();
            for (place, rung) in source.ladder().rungs().iter().enumerate() {
                let here = || levels.iter().filter(|level| level.rung == place);
                let track = self.tracks.find(rung.track);
                figures.push(LayerFigures {
                    track: rung.track,
                    rid: track.and_then(|track| track.params().rid),
                    spatial: rung.spatial,
                    temporal_layers: rung.temporal + 1,
                    bits_per_second: rung.full(),
                    legs: here().count() as u32,
                    key_frames_only: here().filter(|level| level.temporal.is_none()).count() as u32,
                    paused: track.is_some_and(|track| track.is_paused()),
                });
            }
        }
        figures
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
