//! Stamps come back from wherever they stand, and nothing else is taken for one.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn stamps() -> impl Strategy<Value = Stamp> {
    // Small numbers are full of zeros, which H.264 has to escape.
    let number = prop_oneof![any::<u64>(), 0..4u64, Just(u64::MAX)];
    let born = prop_oneof![any::<u64>(), 0..4u64];
    let pace = prop_oneof![Just(0), any::<u32>(), 0..0x0400u32];
    (number, born, pace, any::<u16>()).prop_map(|(number, born_ns, pace_ns, packets)| Stamp {
        number,
        born_ns,
        pace_ns,
        packets,
    })
}

proptest! {
    #[test]
    fn it_comes_back_from_the_end_of_a_frame(stamp in stamps(), mut frame in proptest::collection::vec(any::<u8>(), 0..300)) {
        let length = frame.len();
        stamp.write_into(&mut frame);
        prop_assert_eq!(frame.len(), length.max(Stamp::LEN));
        prop_assert_eq!(Stamp::read_from(&frame), Some(stamp));
    }

    #[test]
    fn it_comes_back_from_an_sei_which_no_start_code_cuts(
        stamp in stamps(), body in proptest::collection::vec(4..=255u8, 0..100)
    ) {
        let mut frame = vec![0, 0, 0, 1, 0x67, 9, 9, 0, 0, 1, 0x68, 9];
        let at = frame.len();
        stamp.write_sei(&mut frame);
        let sei = &frame[at + 4..];
        prop_assert!(sei.windows(3).all(|bytes| bytes[..2] != [0, 0] || bytes[2] > 2), "{:?}", sei);
        frame.extend_from_slice(&[0, 0, 0, 1, 0x65]);
        frame.extend_from_slice(&body);
        prop_assert_eq!(Stamp::read_from(&frame), Some(stamp));
    }

    #[test]
    fn other_bytes_are_no_stamp(bytes in proptest::collection::vec(any::<u8>(), 0..400), annex_b: bool) {
        let bytes = if annex_b { [&[0, 0, 1, 6, 5, SEI_PAYLOAD_LEN][..], &UUID, &bytes].concat() } else { bytes };
        prop_assert_eq!(Stamp::read_from(&bytes), None);
    }

    #[test]
    fn a_stamp_with_any_byte_changed_is_none(stamp in stamps(), at in 0..Stamp::LEN, by in 1..=255u8) {
        let mut frame = Vec::new();
        stamp.write_into(&mut frame);
        frame[at] ^= by;
        prop_assert_eq!(Stamp::read_from(&frame), None);
    }

    #[test]
    fn a_stamp_that_is_cut_off_is_none(stamp in stamps(), keep in 0..Stamp::LEN) {
        let mut frame = Vec::new();
        stamp.write_into(&mut frame);
        prop_assert_eq!(Stamp::read_from(&frame[..keep]), None);
        let mut sei = Vec::new();
        stamp.write_sei(&mut sei);
        prop_assert_eq!(Stamp::read_from(&sei[..keep]), None);
    }
}

#[test]
fn a_stamp_behind_the_first_slice_belongs_to_nobody() {
    let stamp = Stamp { number: 7, born_ns: 1, pace_ns: 0, packets: 10 };
    let mut frame = vec![0, 0, 0, 1, 0x65, 9, 9];
    stamp.write_sei(&mut frame);
    frame.extend_from_slice(&[0, 0, 0, 1, 0x41, 9]);
    assert_eq!(Stamp::read_from(&frame), None);
}

#[test]
fn packets_of_a_spread_frame_are_born_one_after_the_other() {
    let stamp = Stamp { number: 0, born_ns: 1_000, pace_ns: 30, packets: 10 };
    assert_eq!((stamp.packet_born_ns(0), stamp.packet_born_ns(9)), (1_000, 1_270));
}
