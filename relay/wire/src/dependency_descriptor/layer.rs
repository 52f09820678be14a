//! Layers of a scalable stream, and sets of them that fit a word.

/// A spatial and a temporal layer, and with it all below that it needs: what a viewer gets of a scalable stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Layer {
    /// 0 to 3, from the smallest picture.
    pub spatial: u8,
    /// 0 to 7, from the fewest frames.
    pub temporal: u8,
}

/// A set of [`Layer`]s. Where a stream has fewer layers than the set can name, those above its highest stand for the highest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LayerSet(u32);

impl Layer {
    /// Everything that a stream has.
    pub const TOP: Self = Self { spatial: MAX_SPATIAL - 1, temporal: MAX_TEMPORAL - 1 };
    /// The least that can be shown.
    pub const BASE: Self = Self { spatial: 0, temporal: 0 };

    /// Every layer in ascending order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..MAX_SPATIAL).flat_map(|spatial| (0..MAX_TEMPORAL).map(move |temporal| Self { spatial, temporal }))
    }

    /// A number below 32 for tables by layer; layers above those that there are count as the highest.
    #[must_use]
    pub const fn index(self) -> usize {
        let spatial = if self.spatial < MAX_SPATIAL { self.spatial } else { MAX_SPATIAL - 1 };
        let temporal = if self.temporal < MAX_TEMPORAL { self.temporal } else { MAX_TEMPORAL - 1 };
        (spatial * MAX_TEMPORAL + temporal) as usize
    }
}

impl Default for LayerSet {
    fn default() -> Self {
        Self::ALL
    }
}

impl LayerSet {
    /// All layers: what a packet without layers belongs to.
    pub const ALL: Self = Self(u32::MAX);
    /// None.
    pub const NONE: Self = Self(0);

    /// Says whether a layer is in the set.
    #[must_use]
    #[inline]
    pub const fn contains(self, layer: Layer) -> bool {
        self.0 >> layer.index() & 1 != 0
    }

    /// The highest layer that the set tells from the one below it: a stream has at least so many.
    #[must_use]
    pub fn highest_told_apart(self) -> Layer {
        let mut highest = Layer::BASE;
        for layer in Layer::all() {
            let here = self.contains(layer);
            let Layer { spatial, temporal } = layer;
            if temporal > 0 && here != self.contains(Layer { temporal: temporal - 1, ..layer }) {
                highest.temporal = highest.temporal.max(temporal);
            }
            if spatial > 0 && here != self.contains(Layer { spatial: spatial - 1, ..layer }) {
                highest.spatial = highest.spatial.max(spatial);
            }
        }
        highest
    }

    /// Puts a layer in.
    pub const fn insert(&mut self, layer: Layer) {
        self.0 |= 1 << layer.index();
    }
}

/// Four spatial layers of eight temporal ones: the most that the specification allows.
const MAX_SPATIAL: u8 = 4;
const MAX_TEMPORAL: u8 = 8;
