//! Frames: what sealing and opening one costs, and how often memory is asked for.

use std::time::{Duration, Instant};

use latchkey_api::device_list::Role;
use latchkey_e2ee::inner::InnerHeader;
use latchkey_e2ee::kid::VIDEO;
use latchkey_e2ee::open::FrameOpener;
use latchkey_e2ee::seal::FrameSealer;
use latchkey_wire::codec::Codec;

use crate::household::Scene;
use crate::{ROUNDS, Times};

pub(crate) const HEADER: InnerHeader =
    InnerHeader { captured_ms: 1_800_000_000_000, key_frame: false, codec: Codec::H264 };
const ENVELOPE: &[u8] = &[7; 12];
const SIZES: [usize; 6] = [160, 1_000, 5_000, 20_000, 100_000, 200_000];

/// One row for sealing and one for opening per size of a frame.
pub(crate) fn rows() {
    let mut scene = Scene::with(&[Role::Viewer]);
    let session = scene.group.next_session().unwrap();
    let mut sealer = FrameSealer::new(&scene.group.frame_keys().unwrap(), session);
    let mut opener = FrameOpener::new();
    opener.add_epoch(scene.members[0].frame_keys().unwrap(), Duration::ZERO);
    let mut out = Vec::with_capacity(300_000);
    for size in SIZES {
        let frame = vec![9; size];
        let mut sframe = Vec::with_capacity(size + 100);
        let mut seal = || {
            sealer.seal(VIDEO, HEADER, ENVELOPE, &frame, &mut sframe).unwrap();
        };
        seal();
        let times = Times::of(&mut seal);
        let allocated = allocation_counter::measure(|| (0..100).for_each(|_| seal())).count_total;
        print("seal", size, &times, allocated, sframe.len() - size);

        // A frame opens once, so each round has its own.
        let count = (2_000_000 / size).clamp(10, 500);
        let mut allocated = 0;
        let times = (0..ROUNDS).map(|_| {
            let sealed: Vec<Vec<u8>> = (0..count)
                .map(|_| {
                    let mut sframe = Vec::new();
                    sealer.seal(VIDEO, HEADER, ENVELOPE, &frame, &mut sframe).unwrap();
                    sframe
                })
                .collect();
            let mut took = Duration::ZERO;
            let measured = allocation_counter::measure(|| {
                let begin = Instant::now();
                for sframe in &sealed {
                    opener.open(sframe, ENVELOPE, &mut out).unwrap();
                }
                took = begin.elapsed() / count as u32;
            });
            allocated = measured.count_total * 100 / count as u64;
            took
        });
        let times = Times::sorted(times.collect());
        print("open", size, &times, allocated, sframe.len() - size);
    }
}

fn print(what: &str, bytes: usize, times: &Times, allocated_per_100: u64, overhead: usize) {
    let us = times.us();
    println!(
        "e2ee: {what} bytes={bytes} us={us:.2} mb_per_s={:.0} slowest_us={:.2} allocations={:.2} overhead_bytes={overhead}",
        bytes as f64 / us,
        times.slowest_us(),
        allocated_per_100 as f64 / 100.0,
    );
}
