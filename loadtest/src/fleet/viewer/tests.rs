//! What a viewer makes of frames in clear: told by their stamps, aged by their packets, counted by time beyond the sample.

use std::time::{Duration, Instant};

use latchkey_wire::codec::Codec;
use latchkey_wire::payload::{self, Payloads};

use crate::fleet::content::Stamp;
use crate::fleet::viewer::assembly::{Assembly, Piece, Whole};
use crate::fleet::viewer::desk::Bench;
use crate::fleet::viewer::opening::{Frames, Opening, Outcome};
use crate::measure::tally::ViewerTally;

const PACKETS: u16 = 10;
const PACE_NS: u32 = 3_000_000;
const FRAME_NS: u64 = 33_333_333;
const BIRTH_NS: u64 = 1_700_000_000_000_000_000;

/// A frame whose every packet took `way` from its time to the client.
fn frame(number: u64, way: Duration, change: impl FnOnce(&mut Vec<u8>)) -> Whole {
    let stamp = Stamp { number, born_ns: BIRTH_NS + number * FRAME_NS, pace_ns: PACE_NS, packets: PACKETS };
    let mut bytes = vec![u8::from(number > 0); 1000];
    stamp.write_into(&mut bytes);
    change(&mut bytes);
    let mut payloads = Payloads::default();
    payload::split(Codec::Vp8, &bytes, number == 0, 110, &mut payloads).unwrap();
    assert_eq!(payloads.len(), usize::from(PACKETS));
    let mut assembly = Assembly::new(Codec::Vp8, false);
    let mut whole = None;
    for (index, payload) in (0..).zip(payloads.iter()) {
        whole = assembly.take(Piece {
            sequence: number * u64::from(PACKETS) + u64::from(index),
            timestamp: (number * 3000) as u32,
            marker: index + 1 == PACKETS,
            payload: payload.into(),
            arrival_ns: stamp.packet_born_ns(index) + way.as_nanos() as u64,
        });
    }
    whole.unwrap()
}

struct Watching {
    opening: Opening,
    bench: Bench,
    tally: ViewerTally,
}

impl Watching {
    fn new(one_in: u32) -> Self {
        let mut opening = Opening::new(Codec::Vp8, Frames::Plain, one_in, 0, Instant::now());
        opening.note_arrival(BIRTH_NS);
        Self { opening, bench: Bench::default(), tally: ViewerTally::default() }
    }

    fn take(&mut self, whole: &Whole) -> Outcome {
        self.opening.whole(whole, Instant::now(), &mut self.bench, &mut self.tally)
    }

    fn counted(&mut self) -> (u64, u64, u64) {
        self.opening.numbers.close(&mut self.tally);
        (self.tally.frames_expected, self.tally.frames_opened, self.tally.frames_refused)
    }
}

#[test]
fn ages_are_those_of_packets_whatever_their_pace() {
    let mut watching = Watching::new(1);
    for number in 0..50 {
        let way = Duration::from_millis(if number == 49 { 40 } else { 5 });
        assert_eq!(watching.take(&frame(number, way, |_| {})), Outcome::Opened);
    }
    assert_eq!(watching.counted(), (50, 50, 0));
    let (frames, packets) = (&watching.bench.window.frame_latency, &watching.bench.window.packet_latency);
    assert_eq!((frames.count(), packets.count()), (50, 500));
    for latency in [frames, packets] {
        assert!((latency.quantile_ms(0.5) - 5.0).abs() < 0.01, "{latency:?}");
        assert!((latency.quantile_ms(1.0) - 40.0).abs() < 0.1, "{latency:?}");
    }
}

#[test]
fn beyond_the_sample_frames_count_by_their_time() {
    for one_in in [2, 5, 30] {
        let mut watching = Watching::new(one_in);
        for number in (0..300).filter(|number| number % 7 != 3) {
            let outcome = watching.take(&frame(number, Duration::from_millis(5), |_| {}));
            assert!(matches!(outcome, Outcome::Opened | Outcome::NotOfTheSample));
        }
        assert_eq!(watching.counted(), (300, 257, 0));
        let opened = watching.bench.window.frame_latency.count();
        assert!(opened >= 257 / u64::from(one_in) && opened <= 257 / u64::from(one_in) + 3, "{opened}");
    }
}

#[test]
fn a_frame_without_its_stamp_is_refused_in_clear() {
    let mut watching = Watching::new(1);
    for number in 0..10 {
        let spoilt = frame(number, Duration::ZERO, |bytes| {
            if number == 4 {
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
            }
        });
        watching.take(&spoilt);
    }
    assert_eq!(watching.counted(), (10, 9, 1));
}

#[test]
fn frames_out_of_the_servers_memory_are_opened_and_have_no_age() {
    let mut watching = Watching::new(1);
    watching.opening = Opening::new(Codec::Vp8, Frames::Plain, 1, 0, Instant::now());
    watching.opening.note_arrival(BIRTH_NS + 20 * FRAME_NS);
    for number in 0..30 {
        watching.take(&frame(number, Duration::from_millis(700), |_| {}));
    }
    assert_eq!(watching.counted(), (30, 30, 0));
    assert_eq!(watching.bench.window.frame_latency.count(), 10);
}
