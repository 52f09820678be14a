#![no_main]

use std::time::{Duration, Instant};

use latchkey_relay_core::bandwidth::Path;
use latchkey_wire::rtcp::{Request, requests};

// A viewer's reports, whole compounds of any length, between packets that go out to it: the first byte of each says how long it
// is and how much is sent before.
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut now = Instant::now();
    let mut path = Path::new(true, now);
    let mut rest = input;
    while let Some((first, after)) = rest.split_first() {
        for _ in 0..first % 64 {
            path.begin(now);
            if path.may_send() {
                let _ = path.number();
                path.sent(usize::from(*first) * 5, now);
            }
            now += Duration::from_micros(u64::from(*first) * 20);
        }
        let (compound, left) = after.split_at(after.len().min(usize::from(*first)));
        rest = left;
        let _ = requests(compound, |request| {
            let _ = match request {
                Request::Arrivals(feedback) => path.feedback(&feedback, now),
                Request::Reception { fraction_lost, .. } => path.reception(fraction_lost, now),
                Request::MostBits { bits_per_second } => path.most(bits_per_second, now),
                _ => None,
            };
        });
        let _ = path.wants_probe(u64::MAX, now) && path.begin_probe(now);
        let _ = path.estimate();
    }
});
