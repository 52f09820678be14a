//! What a viewer may get of one source, from the least to the most: its simulcast layers, each with its spatial layers.

use std::time::Instant;

use latchkey_wire::dependency_descriptor::Layer;

use crate::id::TrackId;
use crate::track::Track;

/// The rungs of one source. Made anew in every round from what the relay measured.
#[derive(Clone, Debug)]
pub(crate) struct Ladder {
    rungs: [Rung; MOST_RUNGS],
    len: usize,
}

/// One picture size of a source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rung {
    /// Its simulcast layer.
    pub(crate) track: TrackId,
    /// Its spatial layer within that.
    pub(crate) spatial: u8,
    /// Bits a second by temporal layer, up to the highest.
    pub(crate) bits_per_second: [u64; TEMPORAL_LAYERS],
    /// The highest temporal layer.
    pub(crate) temporal: u8,
}

impl Ladder {
    /// Only the source's first track is known.
    pub(crate) fn of(track: TrackId) -> Self {
        let rung = Rung { track, spatial: 0, bits_per_second: [0; TEMPORAL_LAYERS], temporal: 0 };
        Self { rungs: [rung; MOST_RUNGS], len: 1 }
    }

    #[cfg(test)]
    pub(crate) fn with(rungs: &[Rung]) -> Self {
        let mut ladder = Self::of(rungs[0].track);
        ladder.rungs[..rungs.len()].copy_from_slice(rungs);
        ladder.len = rungs.len();
        ladder
    }

    /// Measures anew. `order` has the source's tracks from the least to the most; those that nothing comes of are left out
    /// unless they are paused.
    pub(crate) fn measure<'a>(&mut self, order: impl Iterator<Item = &'a Track>, now: Instant) {
        let mut len = 0;
        for track in order {
            if !track.is_available(now) {
                continue;
            }
            let highest = track.rates().highest();
            for spatial in 0..=highest.spatial {
                let Some(rung) = self.rungs.get_mut(len) else { break };
                let rate = |temporal| {
                    let temporal = (temporal as u8).min(highest.temporal);
                    track.rates().bits_per_second(Layer { spatial, temporal })
                };
                let bits_per_second = std::array::from_fn(rate);
                *rung = Rung { track: track.id(), spatial, bits_per_second, temporal: highest.temporal };
                len += 1;
            }
        }
        if len > 0 {
            self.len = len;
        }
    }

    /// Its rungs, never none.
    pub(crate) fn rungs(&self) -> &[Rung] {
        &self.rungs[..self.len]
    }

    /// The place of a picture, if it is there now.
    pub(crate) fn place(&self, track: TrackId, spatial: u8) -> Option<usize> {
        let of_track = || self.rungs().iter().enumerate().filter(|(_, rung)| rung.track == track);
        of_track().rfind(|(_, rung)| rung.spatial <= spatial).map(|(place, _)| place)
    }
}

impl Rung {
    /// Bits a second with all its frames.
    pub(crate) fn full(&self) -> u64 {
        self.bits_per_second[TEMPORAL_LAYERS - 1]
    }

    /// The highest temporal layer that takes no more than `bits` a second.
    pub(crate) fn fitting(&self, bits: u64) -> Option<u8> {
        (0..=self.temporal).rev().find(|&temporal| self.bits_per_second[usize::from(temporal)] <= bits)
    }
}

/// Four simulcast layers of four spatial layers.
pub(crate) const MOST_RUNGS: usize = 16;
const TEMPORAL_LAYERS: usize = 8;
