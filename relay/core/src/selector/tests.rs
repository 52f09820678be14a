//! A leg goes down at once, up when there is room, and never flaps.

#![allow(clippy::disallowed_methods)]
use proptest::prelude::*;

use super::*;
use crate::ladder::Rung;

/// Three simulcast layers of two temporal ones, in kilobits a second.
fn ladder() -> Ladder {
    let rung = |track: u8, base: u64, full: u64| Rung {
        track: TrackId(track),
        spatial: 0,
        bits_per_second: std::array::from_fn(|layer| if layer == 0 { base } else { full } * 1000),
        temporal: 1,
    };
    Ladder::with(&[rung(0, 90, 150), rung(1, 300, 500), rung(2, 900, 1500)])
}

struct World {
    ladder: Ladder,
    selector: Selector,
    now: Instant,
}

impl World {
    fn new(wish: Option<u64>) -> Self {
        Self { ladder: ladder(), selector: Selector::new(TrackId(0), wish), now: Instant::now() }
    }

    /// One second with an estimate of so many kilobits a second.
    fn second(&mut self, kilobits: u64, limited_by_source: bool) -> Aim {
        let bits_per_second = kilobits * 1000;
        for _ in 0..10 {
            self.now += Duration::from_millis(100);
            self.selector.take_estimate(&Estimate { bits_per_second, limited_by_source, at: self.now });
            self.selector.decide(&self.ladder, 0, true, self.now);
        }
        self.selector.aim()
    }

    fn track(&self) -> u8 {
        self.selector.aim().track.0
    }
}

#[test]
fn without_feedback_it_is_all_within_the_wish() {
    for (wish, track, temporal) in
        [(None, 2, 7), (Some(1500), 2, 7), (Some(1499), 1, 7), (Some(100), 0, 0), (Some(10), 0, 0)]
    {
        let mut world = World::new(wish.map(|wish| wish * 1000));
        world.selector.decide(&world.ladder, 0, false, world.now);
        let Aim { track: chosen, keep: Keep::Layer(layer) } = world.selector.aim() else {
            panic!("{wish:?}")
        };
        assert_eq!((chosen.0, layer.temporal), (track, temporal), "{wish:?}");
    }
}

#[test]
fn down_at_once_and_up_when_there_is_room() {
    let mut world = World::new(None);
    world.selector.decide(&world.ladder, 0, true, world.now);
    assert_eq!(world.track(), 2);
    world.selector.take_estimate(&Estimate {
        bits_per_second: 600_000,
        limited_by_source: false,
        at: world.now,
    });
    world.selector.decide(&world.ladder, 0, true, world.now);
    assert_eq!(world.track(), 1, "at once");
    world.selector.decide(&world.ladder, 200_000, true, world.now);
    assert_eq!(world.track(), 0, "other legs need their part");
    world.second(510, false);
    assert_eq!(world.track(), 0, "fits, but without room to spare");
    world.second(600, false);
    world.second(600, false);
    assert_eq!(world.track(), 1);
    world.second(120, false);
    assert_eq!(
        world.selector.aim(),
        Aim { track: TrackId(0), keep: Keep::Layer(Layer { temporal: 0, ..Layer::TOP }) }
    );
    assert_eq!(world.second(50, false).keep, Keep::KeyFrames);
    world.second(400, false);
    assert_eq!(world.second(400, false), Aim { track: TrackId(0), keep: Keep::Layer(Layer::TOP) });
}

#[test]
fn a_path_that_shows_no_limit_is_tried_rung_by_rung() {
    let mut world = World::new(None);
    world.second(160, false);
    assert_eq!(world.track(), 0);
    let mut tracks = Vec::new();
    for _ in 0..6 {
        world.second(200, true);
        tracks.push(world.track());
    }
    assert!(tracks.windows(2).all(|pair| pair[0] <= pair[1] && pair[1] - pair[0] <= 1), "{tracks:?}");
    assert_eq!(tracks.last(), Some(&2));
}

#[test]
fn what_cannot_be_kept_is_tried_ever_more_seldom() {
    let mut world = World::new(None);
    world.second(160, false);
    let mut tries = 0;
    for _ in 0..300 {
        let before = world.track();
        // The small layer passes; the next one overruns the path.
        let passes = before == 0;
        world.second(if passes { 160 } else { 300 }, passes);
        tries += usize::from(world.track() > before);
    }
    assert!((3..=12).contains(&tries), "{tries} tries in five minutes");
}

proptest! {
    /// Whatever the estimates are: never a rung that the path is known not to carry, and no more switches than the waits
    /// between two ups allow.
    #[test]
    fn never_above_the_path_and_never_flapping(seconds in prop::collection::vec((10u64..3000, any::<bool>()), 1..120)) {
        let mut world = World::new(None);
        let (mut ups, mut before) = (0, world.second(10_000, false));
        let count = seconds.len();
        for (kilobits, limited) in seconds {
            let aim = world.second(kilobits, limited);
            if !limited {
                let takes = match aim.keep {
                    Keep::KeyFrames => 0,
                    Keep::Layer(layer) => {
                        let rung = world.ladder.rungs()[usize::from(aim.track.0)];
                        rung.bits_per_second[usize::from(layer.temporal)]
                    }
                };
                let lowest = Aim { track: TrackId(0), keep: Keep::Layer(Layer { temporal: 0, ..Layer::TOP }) };
                let room = if aim == lowest { NEARLY } else { 1.0 };
                prop_assert!(takes as f64 <= room * (kilobits * 1000) as f64);
            }
            ups += usize::from(aim.track > before.track);
            before = aim;
        }
        prop_assert!(ups <= count);
    }
}
