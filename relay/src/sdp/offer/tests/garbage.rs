//! Whatever comes in the place of an offer: nothing panics, and what is answered goes the right way.

use proptest::prelude::*;

use super::*;

/// Reads, and when that works agrees and answers: none of it may panic.
fn survive(bytes: &[u8]) {
    if let Ok(offer) = Offer::parse(bytes) {
        for negotiation in [negotiate::publisher(&offer), negotiate::viewer(&offer, &camera(Codec::H264))]
            .into_iter()
            .flatten()
        {
            let answer = written(&offer, &negotiation);
            assert_eq!(negotiation.legs(&offer).len(), offer.media.len());
            assert!(answer.starts_with("v=0\r\n"));
            let directions = match negotiation.role {
                Role::Publish => "a=sendonly",
                Role::View => "a=recvonly",
            };
            assert!(!answer.contains(directions), "the answer goes the wrong way");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        survive(&bytes);
    }

    #[test]
    fn truncated_offers_are_survived((which, cut) in (0..ALL.len()).prop_flat_map(|which| (Just(which), 0..ALL[which].1.len()))) {
        survive(&ALL[which].1.as_bytes()[..cut]);
    }

    #[test]
    fn offers_with_a_few_bytes_changed_are_survived(which in 0..ALL.len(), changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12)) {
        let mut bytes = ALL[which].1.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        survive(&bytes);
    }

    #[test]
    fn offers_with_lines_shuffled_or_repeated_are_survived(which in 0..ALL.len(), order in proptest::collection::vec(any::<prop::sample::Index>(), 1..150)) {
        let lines: Vec<&str> = ALL[which].1.lines().collect();
        let text: String = order.iter().map(|at| format!("{}\r\n", lines[at.index(lines.len())])).collect();
        survive(text.as_bytes());
        survive(format!("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n{text}").as_bytes());
    }

    #[test]
    fn numbers_of_any_size_are_survived(which in 0..ALL.len(), number in "[0-9]{1,25}|-1|99999999999999999999d", at in any::<prop::sample::Index>()) {
        let lines: Vec<&str> = ALL[which].1.lines().collect();
        let at = at.index(lines.len());
        let changed = lines[at].split_inclusive(|c: char| !c.is_ascii_digit()).map(|part| {
            part.trim_start_matches(|c: char| c.is_ascii_digit()).to_owned() + &number
        });
        let changed: String = changed.collect();
        let text: Vec<String> = lines.iter().enumerate().map(|(i, line)| if i == at { changed.clone() } else { (*line).to_owned() }).collect();
        survive(text.join("\r\n").as_bytes());
    }
}
