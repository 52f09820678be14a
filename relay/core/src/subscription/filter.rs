//! Which packets of a track a leg keeps, and where it may change that: never so that a frame lacks what it needs.

use latchkey_wire::dependency_descriptor::Layer;

use crate::history::Facts;
use crate::selector::Keep;

/// Decides about one packet after the other, in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filter {
    keep: Keep,
    aim: Keep,
    /// Everything is kept, now and later.
    plain: bool,
    /// Timestamp of the picture looked at last, and whether it is a key frame.
    picture: Option<(u32, bool)>,
}

impl Filter {
    /// Keeps everything.
    pub(super) fn new() -> Self {
        let all = Keep::Layer(Layer::TOP);
        Self { keep: all, aim: all, plain: true, picture: None }
    }

    /// The next packet begins a key frame, from which everything may change.
    pub(super) fn restart(&mut self, keep: Keep) {
        *self = Self { keep, aim: keep, plain: keep == Keep::Layer(Layer::TOP), picture: None };
    }

    /// Has this kept from where it can be.
    pub(super) fn aim(&mut self, aim: Keep) {
        self.aim = aim;
        self.plain = self.keep == aim && aim == Keep::Layer(Layer::TOP);
    }

    /// What is kept now.
    pub(super) fn keep(&self) -> Keep {
        self.keep
    }

    /// What is aimed at is kept.
    pub(super) fn is_settled(&self) -> bool {
        self.keep == self.aim
    }

    /// Only a key frame leads to what is aimed at, as far as one can tell.
    pub(super) fn wants_key_frame(&self) -> bool {
        match (self.keep, self.aim) {
            (Keep::KeyFrames, Keep::Layer(_)) => true,
            (Keep::Layer(from), Keep::Layer(to)) => from.spatial != to.spatial,
            (_, Keep::KeyFrames) => false,
        }
    }

    /// Whether a packet is sent.
    #[inline]
    pub(super) fn takes(&mut self, facts: &Facts) -> bool {
        if self.plain {
            // Whatever is decided in the middle of a picture begins with the next one.
            self.look_at(facts);
            return true;
        }
        self.takes_by_layer(facts)
    }

    /// Whether one that came late is: what was aimed at then is not known any more.
    pub(super) fn would_take(&self, facts: &Facts) -> bool {
        match self.keep {
            Keep::Layer(layer) => facts.layers.needed_by.contains(layer),
            Keep::KeyFrames => self.picture == Some((facts.timestamp, true)),
        }
    }

    /// Whether a packet that has not come gets a number all the same.
    pub(super) fn reserves(&self) -> bool {
        self.keep != Keep::KeyFrames || self.picture.is_some_and(|(_, key_frame)| key_frame)
    }

    /// Whether a packet is the last of its picture, as far as the viewer gets it (AV1 RTP specification section 4.2).
    #[inline]
    pub(super) fn ends_picture(&self, facts: &Facts) -> bool {
        facts.marker
            || !self.plain
                && facts.layers.ends_frame
                && matches!(self.keep, Keep::Layer(layer)
                    if layer.spatial < Layer::TOP.spatial && layer.spatial == facts.layers.spatial)
    }

    fn takes_by_layer(&mut self, facts: &Facts) -> bool {
        let begins = self.look_at(facts) || facts.layers.starts_frame;
        if begins && !self.is_settled() && self.may_change(facts) {
            self.keep = self.aim;
            self.aim(self.aim);
        }
        self.would_take(facts)
    }

    /// Whether a picture begins.
    #[inline]
    fn look_at(&mut self, facts: &Facts) -> bool {
        let begins =
            facts.starts_key_frame || self.picture.is_none_or(|(timestamp, _)| timestamp != facts.timestamp);
        if begins {
            self.picture = Some((facts.timestamp, facts.starts_key_frame));
        }
        begins
    }

    fn may_change(&self, facts: &Facts) -> bool {
        match (self.keep, self.aim) {
            (_, Keep::KeyFrames) => true,
            (Keep::KeyFrames, Keep::Layer(_)) => facts.starts_key_frame,
            (Keep::Layer(from), Keep::Layer(to)) => {
                let fewer_frames = to.spatial == from.spatial && to.temporal < from.temporal;
                let switch = facts.layers.needed_by.contains(from) && facts.layers.switches_to.contains(to);
                facts.starts_key_frame || fewer_frames || switch
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use latchkey_wire::dependency_descriptor::LayerSet;

    use super::*;
    use crate::history::LayerFacts;

    fn layer(temporal: u8) -> Layer {
        Layer { temporal, ..Layer::TOP }
    }

    /// A frame of one packet in a stream of two temporal layers.
    fn frame(timestamp: u32, temporal: u8, key: bool) -> Facts {
        let from = |lowest: u8| {
            let mut set = LayerSet::NONE;
            Layer::all().filter(|layer| layer.temporal >= lowest).for_each(|layer| set.insert(layer));
            set
        };
        let layers = LayerFacts {
            needed_by: from(temporal),
            switches_to: from(temporal),
            spatial: 0,
            starts_frame: true,
            ends_frame: true,
        };
        Facts { timestamp, marker: true, starts_key_frame: key, layers }
    }

    #[test]
    fn temporal_layers_go_at_once_and_come_at_a_switch() {
        let mut filter = Filter::new();
        assert!(filter.takes(&frame(0, 0, true)) && filter.takes(&frame(1, 1, false)));
        filter.aim(Keep::Layer(layer(0)));
        assert!(!filter.takes(&frame(2, 1, false)), "at once");
        assert!(filter.takes(&frame(3, 0, false)));
        filter.aim(Keep::Layer(Layer::TOP));
        assert!(!filter.wants_key_frame());
        assert!(!filter.takes(&frame(4, 1, false)), "it may need what was left out");
        assert!(filter.takes(&frame(5, 0, false)) && filter.takes(&frame(6, 1, false)));
        assert!(filter.is_settled());
    }

    #[test]
    fn what_is_decided_in_the_middle_of_a_frame_begins_with_the_next() {
        for aim in [Keep::Layer(layer(0)), Keep::KeyFrames] {
            let mut filter = Filter::new();
            assert!(filter.takes(&frame(0, 0, true)));
            let whole = frame(1, 1, false);
            let begin =
                Facts { marker: false, layers: LayerFacts { ends_frame: false, ..whole.layers }, ..whole };
            let end = Facts { layers: LayerFacts { starts_frame: false, ..whole.layers }, ..whole };
            assert!(filter.takes(&begin));
            filter.aim(aim);
            assert!(filter.takes(&end), "the rest of it");
            assert!(!filter.is_settled());
            assert!(!filter.takes(&frame(2, 1, false)));
            assert!(filter.is_settled());
        }
    }

    #[test]
    fn key_frames_only_and_back() {
        let mut filter = Filter::new();
        assert!(filter.takes(&frame(0, 0, true)));
        filter.aim(Keep::KeyFrames);
        assert!(!filter.takes(&frame(1, 0, false)));
        assert!(!filter.reserves());
        let second_packet = Facts { starts_key_frame: false, ..frame(2, 0, true) };
        assert!(filter.takes(&frame(2, 0, true)) && filter.takes(&second_packet));
        assert!(filter.reserves());
        assert!(!filter.takes(&frame(3, 0, false)));
        filter.aim(Keep::Layer(Layer::TOP));
        assert!(filter.wants_key_frame());
        assert!(!filter.takes(&frame(4, 0, false)));
        assert!(filter.takes(&frame(5, 0, true)) && filter.takes(&frame(6, 1, false)));
    }

    #[test]
    fn a_smaller_picture_ends_with_its_own_last_packet() {
        let mut filter = Filter::new();
        filter.restart(Keep::Layer(Layer { spatial: 0, ..Layer::TOP }));
        let unmarked = Facts { marker: false, ..frame(0, 0, true) };
        assert!(filter.ends_picture(&unmarked));
        let upper = Facts { layers: LayerFacts { spatial: 1, ..unmarked.layers }, ..unmarked };
        assert!(!filter.ends_picture(&upper));
        assert!(!Filter::new().ends_picture(&unmarked));
    }
}
