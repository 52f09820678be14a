//! Cameras of a fleet at a real relay: what they send is opened, goes on under new keys, stops when held, and is counted.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // figures are for whoever runs it

#[path = "fleet_cameras/relay.rs"]
mod relay;
#[path = "fleet_cameras/watcher.rs"]
mod watcher;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use latchkey_e2ee::seal::FrameSealer;
use latchkey_loadtest::fleet::camera::{NewCamera, Sealing};
use latchkey_loadtest::fleet::cameras::Cameras;
use latchkey_loadtest::fleet::content::{Content, Pace, Shape};
use latchkey_loadtest::fleet::network::Conditions;
use latchkey_loadtest::fleet::peer::Way;
use latchkey_loadtest::fleet::viewer::{Frames, NewViewer};
use latchkey_loadtest::fleet::viewers::Viewers;
use latchkey_loadtest::fleet::{CameraId, ViewerId};
use latchkey_loadtest::lossy::{Lossy, Weather};
use latchkey_loadtest::measure::window::Window;
use latchkey_relay::PublicAddress;
use latchkey_wire::codec::Codec;
use latchkey_wire::id::RoomId;
use str0m_netem::{NetemConfig, Probability, RandomLoss};

use crate::relay::{House, Household};
use crate::watcher::Watcher;

/// A limit of liveness, not of speed.
const LIMIT: Duration = Duration::from_secs(30);

struct Scene {
    house: House,
    cameras: Cameras,
}

impl Scene {
    async fn new() -> Self {
        Self { house: House::new().await, cameras: Cameras::start(&[]).unwrap() }
    }

    /// Adds a camera of a household of its own, and somebody who looks at it.
    async fn camera(&mut self, number: u32, content: Content, shape: Shape) -> (Household, Watcher) {
        let mut household = Household::new();
        let room = RoomId::new([number as u8; 16]);
        let codec = content.codec();
        let session = household.group.next_session().unwrap();
        let sealer = FrameSealer::new(&household.group.frame_keys().unwrap(), session);
        let peer = self.house.join(Way::Publish, room, codec).await;
        self.cameras.add(CameraId(number), NewCamera { peer, sealing: sealer.into(), content, shape });
        let viewer = self.house.join(Way::View, room, codec).await;
        let watcher = Watcher::new(viewer, household.group.frame_keys().unwrap());
        (household, watcher)
    }

    fn until(&self, watchers: &mut [&mut Watcher], what: &str, done: impl Fn(&[&mut Watcher]) -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !done(watchers) {
            assert!(Instant::now() < deadline, "{what}: not within 30 s; {:?}", self.cameras.states());
            watchers.iter_mut().for_each(|watcher| watcher.turn());
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn clip(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("clips").join(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_camera_is_opened_under_old_and_new_keys() {
    let mut scene = Scene::new().await;
    let spread = Shape { pace: Pace::Spread, ..Shape::default() };
    let keys = Shape { key_frame_factor: 6.0, gop: 15, ..Shape::default() };
    let doorbell = Content::clip(&clip("doorbell.mp4")).await.unwrap();
    let vp8 = Content::clip(&clip("doorbell-vp8.ivf")).await.unwrap();
    let kinds = [
        (Content::synthetic(Shape::default()), Shape::default()),
        (Content::synthetic(spread), spread),
        (Content::synthetic(keys), keys),
        (doorbell, Shape::default()),
        (vp8, spread),
    ];
    let mut all = Vec::new();
    for (number, (content, shape)) in (1..).zip(kinds) {
        all.push(scene.camera(number, content, shape).await);
    }
    let (mut households, mut watchers): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    let mut watching: Vec<_> = watchers.iter_mut().collect();
    scene.until(&mut watching, "20 frames of each", |all| all.iter().all(|one| one.seen.len() >= 20));

    let mut first_new = Vec::new();
    for (number, (household, watcher)) in (1..).zip(households.iter_mut().zip(&mut watching)) {
        let (of_camera, of_viewer) = household.next_epoch();
        watcher.take_keys(of_viewer);
        scene.cameras.rekey(CameraId(number), of_camera);
        first_new.push(scene.cameras.states()[number as usize - 1].frames);
    }
    scene.until(&mut watching, "frames of the next epoch", |all| {
        all.iter()
            .zip(&first_new)
            .all(|(one, first)| one.seen.last().is_some_and(|seen| seen.stamp.number > first + 40))
    });

    let states = scene.cameras.states();
    assert_eq!(states.len(), 5);
    assert!(states.iter().all(|state| state.connected && state.ended.is_none()), "{states:?}");
    for (state, household) in states.iter().zip(&households) {
        assert_eq!(state.epoch, Some(household.group.epoch()));
    }
    let window = scene.cameras.take();
    check_counts(&window, &watching);
    for (number, watcher) in (1..).zip(&watching) {
        assert_eq!(watcher.refused, 0, "camera {number}");
        check_frames(number, watcher);
    }
    drop(watching);
    let (burst, spread) = (&watchers[0].seen, &watchers[1].seen);
    assert!(burst.iter().all(|seen| seen.stamp.pace_ns == 0 && seen.packets == 10));
    assert!(spread.iter().all(|seen| seen.stamp.pace_ns == 3_333_333 && seen.packets == 10));
    let spans: Vec<_> = spread.iter().map(|seen| seen.arrivals.1.saturating_sub(seen.arrivals.0)).collect();
    let longest = spans.iter().max().unwrap();
    assert!(
        *longest > Duration::from_millis(20),
        "a spread frame takes nine tenths of its time: {longest:?}"
    );
    let sizes: Vec<_> = watchers[2].seen.iter().map(|seen| (seen.key, seen.bytes)).collect();
    let (key, other) =
        (sizes.iter().find(|size| size.0).unwrap().1, sizes.iter().find(|size| !size.0).unwrap().1);
    assert!((5..=7).contains(&(key / other)), "key frames of {key} bytes, others of {other}");
}

fn check_frames(number: u32, watcher: &Watcher) {
    let seen = &watcher.seen;
    for pair in seen.windows(2) {
        let (one, next) = (&pair[0].stamp, &pair[1].stamp);
        assert!(next.number > one.number && next.born_ns > one.born_ns, "camera {number}: {one:?}, {next:?}");
    }
    for one in seen {
        assert_eq!(one.packets, usize::from(one.stamp.packets), "camera {number}: {:?}", one.stamp);
        let born = Duration::from_nanos(one.stamp.born_ns);
        assert!(one.arrivals.0 >= born, "camera {number}: a frame came before it was born");
    }
    let ages = seen.iter().map(|one| one.arrivals.0.saturating_sub(Duration::from_nanos(one.stamp.born_ns)));
    println!("camera {number}: {} frames, youngest first packet {:?}", seen.len(), ages.min().unwrap());
}

fn check_counts(window: &Window, watchers: &[&mut Watcher]) {
    let camera = &window.camera;
    println!("{camera:?} in {:?}, CPU {:?}", window.length, window.driver_cpu);
    assert_eq!(window.cameras, 5);
    let frames: usize = watchers.iter().map(|watcher| watcher.seen.len()).sum();
    let packets: usize = watchers.iter().flat_map(|watcher| &watcher.seen).map(|seen| seen.packets).sum();
    assert!(camera.frames as usize >= frames && camera.packets as usize >= packets, "{camera:?}");
    assert!(camera.bytes > camera.packets * 100 && camera.bytes < camera.packets * 1200, "{camera:?}");
    assert!(window.driver_cpu > Duration::ZERO && window.length > Duration::ZERO);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_asks_for_key_frames_and_a_held_camera_is_still() {
    let mut scene = Scene::new().await;
    let rare = Shape { gop: 0, ..Shape::default() };
    let (_household, mut watcher) = scene.camera(1, Content::synthetic(rare), rare).await;
    let mut watching = [&mut watcher];
    scene.until(&mut watching, "first frames", |all| all[0].seen.len() >= 5);
    let first_key = |all: &[&mut Watcher], after: u64| {
        all[0].seen.iter().any(|seen| seen.key && seen.stamp.number > after)
    };
    let last = watching[0].seen.last().unwrap().stamp.number;
    assert!(!first_key(&watching, 0), "no key frame but the first");
    watching[0].ask_for_key_frame();
    scene.until(&mut watching, "the key frame asked for", |all| first_key(all, last));
    assert!(scene.cameras.take().camera.plis >= 1);

    // Held, no frame begins, and after a second the camera goes on by itself, on its grid and with the next number.
    scene.cameras.hold(CameraId(1), true);
    let held_at = scene.cameras.states()[0].frames;
    scene.until(&mut watching, "frames after the hold", |all| {
        all[0].seen.last().is_some_and(|seen| seen.stamp.number > held_at + 3)
    });
    let at = |number| watching[0].seen.iter().find(|seen| seen.stamp.number == number).unwrap();
    let (before, after) = (at(held_at - 1), at(held_at));
    let gap = Duration::from_nanos(after.stamp.born_ns - before.stamp.born_ns);
    assert!(gap >= Duration::from_millis(900), "{gap:?}");
    let ticks = after.timestamp.wrapping_sub(before.timestamp);
    assert!(ticks % 3000 == 0 && ticks >= 27_000 * 3, "{ticks}");

    scene.cameras.remove(CameraId(1));
    assert!(scene.cameras.states().is_empty());
    assert_eq!(scene.cameras.take().cameras, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_seals_nothing_is_refused_by_our_relay_and_says_so() {
    let mut scene = Scene::new().await;
    let shape = Shape::default();
    let peer = scene.house.join(Way::Publish, RoomId::new([9; 16]), Codec::Vp8).await;
    let content = Content::synthetic(shape);
    scene.cameras.add(CameraId(9), NewCamera { peer, sealing: Sealing::Plain, content, shape });
    let deadline = Instant::now() + LIMIT;
    while scene.cameras.states()[0].ended.is_none() {
        assert!(Instant::now() < deadline, "{:?}", scene.cameras.states());
        std::thread::sleep(Duration::from_millis(10));
    }
    println!("{:?}", scene.cameras.states());
    assert_eq!(scene.cameras.take().cameras, 0, "a camera that ended does not send");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cameras_network_loses_is_sent_again() {
    let proxy = Lossy::start().unwrap();
    let address = proxy.address();
    let house = House::with(|config| config.public_address = vec![PublicAddress::FixedPort(address)]).await;
    proxy.forward_to(house.relay.addr());
    let mut scene = Scene { house, cameras: Cameras::start(&[]).unwrap() };
    let loss = NetemConfig::new().loss(RandomLoss::new(Probability::new(0.05)));
    let uplink = proxy.begin(Weather { up: loss, ..Weather::fair() });
    let shape = Shape::default();
    let (household, _) = scene.camera(1, Content::synthetic(shape), shape).await;
    let deadline = Instant::now() + LIMIT;
    while scene.cameras.states()[0].frames == 0 {
        assert!(Instant::now() < deadline, "{:?}", scene.cameras.states());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    proxy.begin(Weather::fair());
    let mut viewers = Viewers::start(1, &[]).unwrap();
    let frames = Frames::Sealed(household.group.frame_keys().unwrap());
    let peer = scene.house.join(Way::View, RoomId::new([1; 16]), Codec::Vp8).await;
    let (network, asked) = (Conditions::default(), Instant::now());
    let viewer = NewViewer {
        peer,
        camera: CameraId(1),
        network,
        opens_one_in: 1,
        player_delay: Duration::ZERO,
        frames,
        asked,
    };
    viewers.join(ViewerId(1), viewer);
    let mut window = Window::default();
    while window.viewer.frames_expected < 200 {
        assert!(Instant::now() < deadline, "{:?}", window.viewer);
        tokio::time::sleep(Duration::from_millis(20)).await;
        window.then(&viewers.take().window);
    }
    let (lost, camera) = (proxy.report(uplink).up, scene.cameras.take().camera);
    println!(
        "{lost:?}; {camera:?}; opened {} of {}",
        window.viewer.frames_opened, window.viewer.frames_expected
    );
    assert!(camera.nacks > 0, "{camera:?}");
    // Of frames of ten packets 60 % would be whole.
    assert!(window.viewer.opened_pct() > 90.0, "{:?}", window.viewer);
}

/// Says what a hundred cameras cost on one thread; asserts nothing about speed. `cargo test --release -p latchkey-loadtest
/// --test fleet_cameras -- --ignored --nocapture`
#[ignore = "a measurement, to be run alone"]
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_cameras_on_one_thread() {
    for pace in [Pace::Burst, Pace::Spread] {
        let mut scene = Scene::new().await;
        let shape = Shape { pace, ..Shape::default() };
        let mut watchers = Vec::new();
        for number in 0..100 {
            watchers.push(scene.camera(number, Content::synthetic(shape), shape).await);
        }
        let connected = |scene: &Scene| scene.cameras.states().iter().all(|state| state.frames > 0);
        let deadline = Instant::now() + LIMIT;
        while !connected(&scene) {
            assert!(Instant::now() < deadline, "not all cameras connected within 30 s");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let _ = scene.cameras.take();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let window = scene.cameras.take();
        let camera = &window.camera;
        println!(
            "{}: {} cameras, {:.1} Mbit/s, CPU {:.0} % of a processor, {:.1} us per packet, {:.2} % late",
            pace.name(),
            window.cameras,
            camera.bytes as f64 * 8.0 / window.length.as_secs_f64() / 1e6,
            100.0 * window.driver_cpu.as_secs_f64() / window.length.as_secs_f64(),
            window.driver_cpu.as_secs_f64() * 1e6 / camera.packets as f64,
            camera.late_pct(),
        );
        assert_eq!(window.cameras, 100);
    }
}
