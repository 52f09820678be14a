//! What is believed of a path, in simulated time: a camera, a bottleneck (str0m-netem), a viewer that reports what came.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod scene;

use std::time::{Duration, Instant};

use latchkey_relay_core::bandwidth::Path;
use latchkey_wire::rtcp::{Request, requests};
use proptest::prelude::*;
use scene::{PACKET, Scene, link};
use str0m_netem::{Bitrate, DataSize, LossModel, NetemConfig, Probability, RandomLoss};

fn in_kilobits(trace: &[u64]) -> Vec<u64> {
    trace.iter().map(|bits| bits / 1000).collect()
}

#[test]
fn a_path_that_carries_more_is_believed_to_carry_twice_what_is_sent_and_is_not_paced() {
    let mut scene = Scene::new(2_500_000, link(50_000_000));
    let trace = scene.trace(100);
    println!("2.5 Mbit/s over 50 Mbit/s, kbit/s each 0.1 s: {:?}", in_kilobits(&trace));
    assert!(trace.windows(2).all(|pair| pair[1] >= pair[0]), "monotone while nothing is wrong");
    assert!((4_000_000..=5_600_000).contains(&scene.estimate()), "{}", scene.estimate());
    assert!(!scene.path.is_paced() && !scene.is_limited());
    // Nothing is sent for a while, and then little: nothing of that speaks against the path.
    let before = scene.estimate();
    scene.camera = 0;
    scene.pass(Duration::from_secs(5));
    scene.camera = 200_000;
    scene.pass(Duration::from_secs(5));
    assert!(scene.estimate() >= before, "{} after {before}", scene.estimate());
}

#[test]
fn a_bottleneck_is_found_within_two_seconds_and_its_end_soon_after() {
    let mut scene = Scene::new(2_500_000, link(50_000_000));
    scene.pass(Duration::from_secs(5));
    scene.link.set_config(link(500_000));
    let down = scene.trace(20);
    println!("2.5 Mbit/s over 500 kbit/s, kbit/s each 0.1 s: {:?}", in_kilobits(&down));
    assert!(scene.estimate() < 750_000, "{} after two seconds", scene.estimate());
    assert!(scene.path.is_paced() && scene.is_limited());
    let long = scene.trace(200);
    println!("and the next 20 s: {:?}", in_kilobits(&long));
    let mean = long[20..].iter().sum::<u64>() / 180;
    assert!((300_000..700_000).contains(&mean), "{mean} on average");
    let before = scene.came;
    scene.pass(Duration::from_secs(10));
    let used = (scene.came - before) * 8 / 10;
    println!("{} kbit/s came through", used / 1000);
    assert!(used > 300_000, "{used} of it are used");
    scene.link.set_config(link(50_000_000));
    let up = scene.trace(250);
    let back = up.iter().position(|estimate| *estimate >= 2_500_000);
    println!("freed again: {:?}; all of it after {back:?} tenths", in_kilobits(&up));
    assert!(back.is_some_and(|tenths| tenths < 250));
    scene.pass(Duration::from_secs(5));
    assert!(!scene.path.is_paced(), "trains again");
}

#[test]
fn what_is_not_sent_is_found_by_probes_only() {
    let mut scene = Scene::new(300_000, link(50_000_000));
    scene.pass(Duration::from_secs(10));
    assert!(scene.estimate() <= 700_000, "{}", scene.estimate());
    scene.wanted = 2_500_000;
    let trace = scene.trace(100);
    println!("300 kbit/s, wanting 2.5 Mbit/s: {:?} by {} probes", in_kilobits(&trace), scene.probes);
    assert!(scene.estimate() >= 2_500_000, "{}", scene.estimate());
    let enough = scene.probes;
    scene.pass(Duration::from_secs(30));
    assert_eq!(scene.probes, enough, "no probes without a wish");
}

#[test]
fn probes_into_a_narrow_path_find_it_narrow_and_become_rare() {
    let mut scene = Scene::new(300_000, link(800_000));
    scene.wanted = 2_500_000;
    let trace = scene.trace(300);
    println!("300 kbit/s over 800 kbit/s: {:?} by {} probes", in_kilobits(&trace), scene.probes);
    assert!(trace.iter().all(|estimate| *estimate < 1_200_000));
    assert!(scene.probes <= 15, "{} probes in half a minute", scene.probes);
}

fn losing(config: NetemConfig, part: f32) -> NetemConfig {
    config.loss(LossModel::Random(RandomLoss::new(Probability::new(part))))
}

#[test]
fn what_a_path_loses_at_random_is_left_to_repair() {
    for (part, jitter) in [(0.01, 0), (0.10, 0), (0.20, 0), (0.25, 0), (0.10, 8), (0.20, 8)] {
        for camera in [600_000, 2_500_000] {
            let path =
                link(50_000_000).latency(Duration::from_millis(25)).jitter(Duration::from_millis(jitter));
            let mut scene = Scene::new(camera, losing(path, part));
            scene.pass(Duration::from_secs(3));
            let trace = scene.trace(600);
            let (least, last) = (*trace.iter().min().unwrap(), scene.estimate());
            println!(
                "{camera} bit/s, {:.0} % lost, {jitter} ms of jitter: {} kbit/s, at least {}",
                part * 100.0,
                last / 1000,
                least / 1000
            );
            assert!(least > camera, "{least} of {camera} with {part} lost: {:?}", in_kilobits(&trace));
            assert!(part > 0.20 || !scene.path.is_paced());
        }
    }
}

/// A path that loses a fifth loses a third of its first second now and then.
#[test]
fn a_beginning_with_more_loss_than_usual_is_made_good_soon() {
    for (part, jitter, camera, seed) in [
        (0.219, 0, 438_582, 6_461_439_054_643_065_391),
        (0.219, 0, 1_193_424, 5_814_730_226_492_793_999),
        (0.208, 3, 1_267_574, 7_758_132_675_155_750_682),
        (0.214, 1, 989_685, 5_706_160_627_804_174_557),
        (0.204_745_2, 2, 792_000, 14_343_466_250_355_488_449),
    ] {
        let path = link(50_000_000).latency(Duration::from_millis(25)).jitter(Duration::from_millis(jitter));
        let mut scene = Scene::new(camera, losing(path, part).seed(seed));
        let trace = scene.trace(40);
        println!("{camera} bit/s, {:.0} % lost: {:?}", part * 100.0, in_kilobits(&trace));
        assert!(trace[20..].iter().all(|estimate| *estimate > camera), "from the second second on");
    }
}

#[test]
fn a_path_that_loses_at_random_is_still_seen_to_be_full_and_to_be_free() {
    for part in [0.10, 0.20] {
        let mut scene = Scene::new(2_500_000, losing(link(50_000_000), part));
        scene.pass(Duration::from_secs(10));
        scene.link.set_config(losing(link(500_000), part));
        let down = scene.trace(100);
        println!("{:.0} % lost, then 500 kbit/s: {:?}", part * 100.0, in_kilobits(&down));
        assert!(down[20..].iter().all(|estimate| *estimate < 800_000), "from the second second on");
        scene.link.set_config(losing(link(50_000_000), part));
        scene.wanted = 2_500_000;
        let up = scene.trace(250);
        let back = up.iter().position(|estimate| *estimate >= 2_500_000);
        println!("freed: all of it after {back:?} tenths, {:?}", in_kilobits(&up));
        assert!(back.is_some());
    }
}

#[test]
fn loss_that_repair_cannot_make_good_bounds_without_delay_too() {
    let mut scene = Scene::new(2_500_000, losing(link(50_000_000), 0.45));
    let trace = scene.trace(300);
    println!("45 % lost: {:?}", in_kilobits(&trace));
    assert!(scene.estimate() < 2_500_000 && scene.is_limited());
    // All of what a path carries that drops the rest without letting it wait.
    let short = NetemConfig::new()
        .latency(Duration::from_millis(20))
        .link(Bitrate::kbps(500), DataSize::bytes(1_500));
    let mut scene = Scene::new(2_500_000, link(50_000_000));
    scene.pass(Duration::from_secs(5));
    scene.link.set_config(short);
    let trace = scene.trace(40);
    println!("500 kbit/s without a queue: {:?}", in_kilobits(&trace));
    assert!(trace[20] < 800_000 && scene.is_limited());
}

#[test]
fn large_frames_of_a_path_with_room_are_no_congestion() {
    // A key frame of 60 kB every two seconds takes 100 ms of a path of 5 Mbit/s.
    let mut scene = Scene::new(2_000_000, link(5_000_000));
    for _ in 0..10 {
        scene.pass(Duration::from_secs(2));
        scene.waiting.extend([PACKET; 55]);
    }
    println!("large frames over 5 Mbit/s: {} kbit/s", scene.estimate() / 1000);
    assert!(scene.estimate() >= 2_500_000, "{}", scene.estimate());
}

#[test]
fn jitter_is_no_congestion() {
    let mut scene = Scene::new(2_500_000, link(50_000_000).jitter(Duration::from_millis(8)));
    scene.pass(Duration::from_secs(30));
    println!("8 ms of jitter: {} kbit/s", scene.estimate() / 1000);
    assert!(scene.estimate() >= 2_500_000, "{}", scene.estimate());
}

/// The viewer sends no transport-wide feedback.
#[test]
fn reports_of_loss_and_the_receivers_own_estimate_bound_too() {
    let start = Instant::now();
    let mut path = Path::new(false, start);
    let second = |path: &mut Path, from: u64, lost: u8| {
        for packet in 0..250 {
            path.sent(1_250, start + Duration::from_millis(from * 1000 + packet * 4));
        }
        assert_eq!(path.number(), None);
        path.reception(lost, start + Duration::from_millis(from * 1000 + 1000));
        path.estimate().unwrap().bits_per_second
    };
    let clean: Vec<_> = (0..5).map(|at| second(&mut path, at, 0)).collect();
    assert!(clean.windows(2).all(|pair| pair[1] >= pair[0]) && clean[4] <= 5_100_000, "{clean:?}");
    let lossy: Vec<_> = (5..10).map(|at| second(&mut path, at, 96)).collect();
    println!("2.5 Mbit/s, three eighths lost: {lossy:?}");
    assert!(lossy.windows(2).all(|pair| pair[1] <= pair[0]) && lossy[4] < 2_500_000, "{lossy:?}");
    let told = path.most(400_000, start + Duration::from_secs(10));
    assert_eq!(told.map(|estimate| estimate.bits_per_second), Some(400_000));
    assert!(path.is_paced());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Loss without a queue never takes the stream away.
    #[test]
    fn random_loss_is_held(part in 0.0f32..0.22, jitter in 0u64..8, camera in 400_000u64..4_000_000, seed: u64) {
        let path = link(50_000_000).latency(Duration::from_millis(25)).jitter(Duration::from_millis(jitter));
        let mut scene = Scene::new(camera, losing(path, part).seed(seed));
        scene.pass(Duration::from_secs(4));
        for estimate in scene.trace(200) {
            prop_assert!(estimate > camera, "{estimate} of {camera}");
        }
    }

    /// Whatever a viewer reports, whenever: no panic, and an estimate that is a number.
    #[test]
    fn any_feedback_is_survived(
        packets in prop::collection::vec((0u64..50_000, 1usize..1_500), 1..300),
        feedback in prop::collection::vec((any::<u16>(), 0u16..900, any::<u32>(), prop::collection::vec(any::<u8>(), 4..60)), 0..40),
    ) {
        let start = Instant::now();
        let (mut path, mut now) = (Path::new(true, start), start);
        let mut feedback = feedback.into_iter();
        for (wait, len) in packets {
            now += Duration::from_micros(wait);
            path.begin(now);
            if path.may_send() {
                let number = path.number().unwrap();
                path.sent(len, now);
                prop_assert_eq!(path.number().unwrap(), number.wrapping_add(1));
            }
            if let Some((base, count, reference, rest)) = feedback.next().filter(|_| len % 3 == 0) {
                let mut packet = vec![0x8F, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2];
                packet.extend((base % 400).to_be_bytes());
                packet.extend(count.to_be_bytes());
                packet.extend(reference.to_be_bytes());
                packet.extend(&rest[..rest.len() / 4 * 4]);
                packet[3] = (packet.len() / 4 - 1) as u8;
                let _ = requests(&packet, |request| {
                    if let Request::Arrivals(feedback) = request {
                        let _ = path.feedback(&feedback, now);
                    }
                });
            }
            let _ = path.wants_probe(u64::MAX, now) && path.begin_probe(now);
            if let Some(estimate) = path.estimate() {
                prop_assert!(estimate.bits_per_second >= 29_000);
            }
        }
    }

    /// While nothing is lost or delayed the estimate never falls, and never is above twice what was sent at best.
    #[test]
    fn clean_growth_is_monotone_and_bounded(
        rates in prop::collection::vec(100_000u64..6_000_000, 1..5),
    ) {
        let mut scene = Scene::new(rates[0], NetemConfig::new().latency(Duration::from_millis(30)));
        let mut last = 0;
        for rate in &rates {
            scene.camera = *rate;
            for estimate in scene.trace(20) {
                prop_assert!(estimate >= last, "{estimate} after {last}");
                last = estimate;
            }
        }
        let most = *rates.iter().max().unwrap();
        // Half a second holds sixteen frames at times, and each has one small packet more.
        prop_assert!(last <= most * 9 / 4 + 60_000, "{last} of {most}");
    }
}
