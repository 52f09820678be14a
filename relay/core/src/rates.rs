//! What each layer of a track takes: bits a second, measured as the packets come in.

use std::time::{Duration, Instant};

use latchkey_wire::dependency_descriptor::{Layer, LayerSet};

/// Measures one track over about two seconds, so that a key frame now and then does not look like another rate.
#[derive(Clone, Debug)]
pub(crate) struct Rates {
    /// Bytes since the last round that every layer needs.
    shared: u32,
    /// Bytes since the last round by the layers that need them.
    layered: [u32; LAYERS],
    mean: [f32; LAYERS],
    /// Weight of what the means were made of, up to 1 in the long run.
    weight: f32,
    highest: Layer,
    last_packet: Option<Instant>,
    last_round: Option<Instant>,
}

impl Rates {
    /// Nothing measured yet.
    pub(crate) fn new() -> Self {
        Self {
            shared: 0,
            layered: [0; LAYERS],
            mean: [0.0; LAYERS],
            weight: 0.0,
            highest: Layer::BASE,
            last_packet: None,
            last_round: None,
        }
    }

    /// Another publisher begins: it may have other layers. What the old one took is the best guess until the new one is measured.
    pub(crate) fn restart(&mut self) {
        self.highest = Layer::BASE;
    }

    /// A packet of `bytes` came.
    #[inline]
    pub(crate) fn took(&mut self, bytes: usize, needed_by: LayerSet, now: Instant) {
        self.last_packet = Some(now);
        if needed_by == LayerSet::ALL {
            self.shared += bytes as u32;
            return;
        }
        let told = needed_by.highest_told_apart();
        self.highest.spatial = self.highest.spatial.max(told.spatial);
        self.highest.temporal = self.highest.temporal.max(told.temporal);
        for layer in Layer::all().filter(|layer| needed_by.contains(*layer)) {
            self.layered[layer.index()] += bytes as u32;
        }
    }

    /// A round is over. While nothing comes, what was measured stands: the layer may be paused.
    pub(crate) fn round(&mut self, now: Instant) {
        let nothing = self.shared == 0 && self.layered == [0; LAYERS];
        let since = *self.last_round.get_or_insert(now);
        let passed = now.saturating_duration_since(since);
        if nothing || passed.is_zero() {
            return;
        }
        self.last_round = Some(now);
        if passed >= SILENCE {
            (self.shared, self.layered) = (0, [0; LAYERS]);
            return;
        }
        let fresh = passed.as_secs_f32() / MEMORY.as_secs_f32();
        self.weight += (1.0 - self.weight) * fresh;
        for (mean, layered) in self.mean.iter_mut().zip(&mut self.layered) {
            let bits = (self.shared + std::mem::take(layered)) as f32 * 8.0 / passed.as_secs_f32();
            *mean += (bits - *mean) * (fresh / self.weight);
        }
        self.shared = 0;
    }

    /// Bits a second that a viewer of `layer` needs; 0 before the first round.
    pub(crate) fn bits_per_second(&self, layer: Layer) -> u64 {
        self.mean[layer.index()] as u64
    }

    /// The highest layer that was seen.
    pub(crate) fn highest(&self) -> Layer {
        self.highest
    }

    /// Packets come.
    pub(crate) fn is_live(&self, now: Instant) -> bool {
        self.last_packet.is_some_and(|last| now.saturating_duration_since(last) < SILENCE)
    }

    /// It was measured once.
    pub(crate) fn is_known(&self) -> bool {
        self.weight > 0.0
    }

    /// Packets came after `since`.
    pub(crate) fn came_since(&self, since: Instant) -> bool {
        self.last_packet.is_some_and(|last| last > since)
    }
}

const LAYERS: usize = 32;
/// How long what is measured counts.
const MEMORY: Duration = Duration::from_secs(2);
/// A layer that nothing comes of for so long is given up by its viewers.
const SILENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;

    #[test]
    fn each_layer_is_measured_and_silence_is_no_rate() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut upper = LayerSet::NONE;
        for layer in Layer::all().filter(|layer| layer.temporal >= 1) {
            upper.insert(layer);
        }
        let mut rates = Rates::new();
        for round in 0..50 {
            rates.took(1250, LayerSet::ALL, at(round * 100));
            rates.took(625, upper, at(round * 100 + 50));
            rates.round(at(round * 100 + 99));
        }
        let rate = |rates: &Rates, temporal| rates.bits_per_second(Layer { spatial: 0, temporal }) / 1000;
        assert_eq!((rate(&rates, 0), rate(&rates, 1), rate(&rates, 7)), (100, 150, 150));
        assert_eq!(rates.highest(), Layer { spatial: 0, temporal: 1 });
        for round in 50..200 {
            rates.round(at(round * 100 + 99));
        }
        assert!(!rates.is_live(at(20_000)));
        assert_eq!(rate(&rates, 0), 100, "what a paused layer took is remembered");
    }
}
