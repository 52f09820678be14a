//! Viewers of a fleet at a real relay: everything opens, what a path loses is repaired and counted, keys may come late, a
//! removed device sees nothing, and a viewer that changes its address goes on.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // figures are for whoever runs it

#[path = "fleet_cameras/relay.rs"]
mod relay;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use latchkey_e2ee::seal::FrameSealer;
use latchkey_loadtest::fleet::camera::NewCamera;
use latchkey_loadtest::fleet::cameras::Cameras;
use latchkey_loadtest::fleet::content::{Content, Shape};
use latchkey_loadtest::fleet::network::{Conditions, Profile};
use latchkey_loadtest::fleet::peer::{Peer, PeerOptions, Way};
use latchkey_loadtest::fleet::viewer::{Frames, NewViewer};
use latchkey_loadtest::fleet::viewers::{Taken, ViewerState, Viewers};
use latchkey_loadtest::fleet::{CameraId, ViewerId};
use latchkey_loadtest::measure::line::Party;
use latchkey_loadtest::measure::window::Window;
use latchkey_wire::codec::Codec;
use latchkey_wire::id::RoomId;
use str0m_netem::{NetemConfig, Probability, RandomLoss};

use crate::relay::{House, Household};

/// A limit of liveness, not of speed.
const LIMIT: Duration = Duration::from_secs(30);
const CAMERA: CameraId = CameraId(1);
const ROOM: RoomId = RoomId::new([1; 16]);

struct Scene {
    house: House,
    cameras: Cameras,
    household: Household,
    codec: Codec,
    joined: u32,
}

/// What a crowd counted since it was made.
struct Crowd {
    viewers: Viewers,
    window: Window,
    states: Vec<ViewerState>,
    expected: u64,
    opened: u64,
}

impl Scene {
    async fn new() -> Self {
        Self::of(Content::synthetic(Shape::default())).await
    }

    async fn of(content: Content) -> Self {
        let house = House::new().await;
        let mut cameras = Cameras::start(&[]).unwrap();
        let mut household = Household::new();
        let session = household.group.next_session().unwrap();
        let sealer = FrameSealer::new(&household.group.frame_keys().unwrap(), session);
        let (codec, shape) = (content.codec(), Shape::default());
        let peer = house.join(Way::Publish, ROOM, codec).await;
        cameras.add(CAMERA, NewCamera { peer, sealing: sealer.into(), content, shape });
        Self { house, cameras, household, codec, joined: 0 }
    }

    async fn join(&mut self, crowd: &mut Crowd, network: Conditions, opens_one_in: u32) -> ViewerId {
        let asked = Instant::now();
        let peer = self.house.join(Way::View, ROOM, self.codec).await;
        let frames = Frames::Sealed(self.household.group.frame_keys().unwrap());
        self.joined += 1;
        let id = ViewerId(self.joined);
        crowd.viewers.join(
            id,
            NewViewer {
                peer,
                camera: CAMERA,
                network,
                opens_one_in,
                player_delay: Duration::ZERO,
                frames,
                asked,
            },
        );
        id
    }
}

impl Crowd {
    fn new() -> Self {
        let viewers = Viewers::start(1, &[]).unwrap();
        Self { viewers, window: Window::default(), states: Vec::new(), expected: 0, opened: 0 }
    }

    fn take(&mut self) {
        let Taken { window, states, .. } = self.viewers.take();
        self.window.then(&window);
        (self.expected, self.opened) =
            states.iter().fold((self.expected, self.opened), |(all, open), state| {
                (all + state.frames_expected, open + state.frames_opened)
            });
        assert!(states.iter().all(|state| state.ended.is_none()), "{states:?}");
        self.states = states;
    }

    fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !done(self) {
            assert!(Instant::now() < deadline, "{what}: not within 30 s; {:?}", self.window.viewer);
            std::thread::sleep(Duration::from_millis(20));
            self.take();
        }
    }

    fn told(&self, what: &str) {
        let (window, tally) = (&self.window, &self.window.viewer);
        println!(
            "{what}: {} packets, {:.2} us of driver CPU each; first lost {:.2} %, lost {:.2} %, frozen {:.2} %, opened {} \
             of {}; frames after {:.2} ms (p99 {:.2}), first frame after {:.0} ms; {} NACKs, {} PLIs",
            tally.received,
            window.driver_cpu.as_secs_f64() * 1e6 / tally.received.max(1) as f64,
            tally.first_loss_pct(),
            tally.loss_pct(),
            tally.frozen_pct(),
            tally.frames_opened,
            tally.frames_expected,
            window.frame_latency.quantile_ms(0.5),
            window.frame_latency.quantile_ms(0.99),
            window.first_frame.quantile_ms(0.5),
            tally.nacks,
            tally.plis,
        );
    }
}

fn losing(share: f32) -> Conditions {
    let loss = RandomLoss::new(Probability::new(share));
    let down = NetemConfig::new().latency(Duration::from_millis(5)).loss(loss).seed(7);
    Conditions { down: Some(down), ..Conditions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_opens_and_what_a_path_loses_is_repaired() {
    let mut scene = Scene::new().await;
    let (mut fair, mut lossy) = (Crowd::new(), Crowd::new());
    for opens_one_in in [1, 1, 1, 4, 10] {
        scene.join(&mut fair, Conditions::default(), opens_one_in).await;
    }
    scene.join(&mut lossy, losing(0.1), 1).await;
    fair.until("600 frames", |crowd| crowd.expected >= 600);
    lossy.until("100 frames", |crowd| crowd.expected >= 100);
    fair.told("five viewers of a fair network");
    lossy.told("one that loses 10 %");

    let tally = fair.window.viewer;
    assert_eq!((tally.expected, tally.lost_first, tally.repeated), (tally.received, 0, 0));
    assert_eq!((fair.opened, tally.frames_opened), (fair.expected, tally.frames_expected));
    assert_eq!((tally.frames_refused, tally.opened_by_removed), (0, 0));
    assert_eq!((fair.window.viewers, fair.window.joins.seen), (5, 5));
    assert!(fair.states.iter().all(|state| state.connected && state.first_frame_at.is_some()));
    assert!(tally.datagrams > tally.received && tally.bytes > tally.received * 1000);
    assert!(tally.watched_us > 0 && fair.window.first_frame.count() == 5);
    let opened = fair.window.frame_latency.count();
    assert!(opened > tally.frames_opened / 2 && opened < tally.frames_opened, "a sample of some: {opened}");

    let tally = lossy.window.viewer;
    assert!((tally.first_loss_pct() - 10.0).abs() < 4.0, "{tally:?}");
    assert!(tally.repaired > tally.lost_first / 2 && tally.nacks > 0, "{tally:?}");
    assert_eq!(tally.expected - tally.received, tally.lost_first - tally.repaired);
    scene.house.relay.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_in_h264_opens_too() {
    let clip = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("clips").join("doorbell.mp4");
    let mut scene = Scene::of(Content::clip(&clip).await.unwrap()).await;
    let (mut fair, mut lossy) = (Crowd::new(), Crowd::new());
    scene.join(&mut fair, Conditions::default(), 1).await;
    scene.join(&mut lossy, Profile::LossyWifi.conditions(3), 1).await;
    fair.until("120 frames", |crowd| crowd.expected >= 120);
    lossy.until("60 frames", |crowd| crowd.expected >= 60);
    fair.told("a clip");
    lossy.told("a clip over a lossy wireless network");
    let tally = fair.window.viewer;
    assert_eq!((fair.opened, tally.lost_first, tally.frames_refused), (fair.expected, 0, 0));
    assert_eq!(lossy.window.viewer.frames_refused, 0);
    assert!(
        lossy.window.viewer.lost_first > 0 && lossy.opened > lossy.expected / 2,
        "{:?}",
        lossy.window.viewer
    );
    scene.house.relay.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_may_come_late_and_a_removed_device_sees_nothing_more() {
    let mut scene = Scene::new().await;
    let mut crowd = Crowd::new();
    let stays = scene.join(&mut crowd, Conditions::default(), 1).await;
    let goes = scene.join(&mut crowd, Conditions::default(), 1).await;
    crowd.until("frames", |crowd| crowd.expected >= 60);

    scene.cameras.hold(CAMERA, true);
    let (of_camera, of_viewer) = scene.household.next_epoch();
    scene.cameras.rekey(CAMERA, of_camera);
    crowd.viewers.removed(goes);
    scene.cameras.hold(CAMERA, false);
    // Frames of the new epoch are there before its keys.
    std::thread::sleep(Duration::from_millis(300));
    crowd.viewers.keys(stays, of_viewer);
    crowd.until("the removed one expects nothing", |crowd| {
        crowd.states.iter().any(|state| state.id == goes && state.frames_expected == 0)
    });
    let before = crowd.expected;
    crowd.until("frames of the next epoch", |crowd| crowd.expected >= before + 60);
    crowd.told("across a removal");
    let tally = crowd.window.viewer;
    assert_eq!((crowd.opened, tally.frames_refused, tally.opened_by_removed), (crowd.expected, 0, 0));
    assert_eq!(crowd.window.viewers, 1, "who is removed watches no more");

    // A removed device that gets keys all the same: the worst that can be, and it is seen.
    let (of_camera, leaked) = scene.household.next_epoch();
    crowd.viewers.keys(goes, leaked);
    crowd.viewers.keys(stays, scene.household.group.frame_keys().unwrap());
    scene.cameras.rekey(CAMERA, of_camera);
    crowd.until("the fault is seen", |crowd| crowd.window.viewer.opened_by_removed > 0);
    scene.house.relay.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_changes_its_address_goes_on() {
    let mut scene = Scene::new().await;
    let mut crowd = Crowd::new();
    let mover = scene.join(&mut crowd, Conditions::default(), 1).await;
    let restless = Conditions { address_change_every: Some(Duration::from_secs(2)), ..losing(0.01) };
    scene.join(&mut crowd, restless, 1).await;
    crowd.until("frames", |crowd| crowd.expected >= 60);
    for _ in 0..3 {
        crowd.viewers.move_address(mover);
        let before = crowd.expected;
        crowd.until("frames at the new address", |crowd| {
            let opened_all = |state: &ViewerState| state.frames_opened >= state.frames_expected;
            crowd.expected >= before + 120 && crowd.states.iter().all(opened_all)
        });
    }
    crowd.told("with changes of address");
    scene.house.relay.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_is_forgotten_and_a_server_that_ends_is_told() {
    let mut scene = Scene::new().await;
    let mut crowd = Crowd::new();
    let first = scene.join(&mut crowd, Conditions::default(), 1).await;
    scene.join(&mut crowd, Conditions::default(), 1).await;
    crowd.until("frames", |crowd| crowd.expected >= 20);
    crowd.viewers.leave(first);
    crowd.until("one is left", |crowd| crowd.states.len() == 1 && crowd.viewers.len() == 1);
    scene.house.relay.shutdown().await;
    let deadline = Instant::now() + LIMIT;
    let ended = loop {
        assert!(Instant::now() < deadline, "the end is not told");
        let taken = crowd.viewers.take();
        if let Some(state) = taken.states.into_iter().find(|state| state.ended.is_some()) {
            break (state.ended.unwrap(), state.party);
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(ended, ("the server closed the connection".to_owned(), Some(Party::Server)));
    assert!(crowd.viewers.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_any_more_is_told() {
    let mut scene = Scene::new().await;
    let mut crowd = Crowd::new();
    let watched = scene.join(&mut crowd, Conditions::default(), 1).await;
    crowd.until("frames", |crowd| crowd.expected >= 20);
    // Another one is sent to a media address at which nobody answers.
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let asked = Instant::now();
    let (mut peer, offer) = Peer::offer(Way::View, &PeerOptions::default()).unwrap();
    let real = scene.house.relay.addr().to_string();
    let grant = scene.house.grant(Way::View, ROOM, |_| {});
    let url = scene.house.url(Way::View, ROOM);
    let answer = scene.house.door.post(&url, Some(&grant), offer.sdp.clone()).await.unwrap().sdp;
    let elsewhere = nobody.local_addr().unwrap().port().to_string();
    let port = real.rsplit(':').next().unwrap();
    peer.accept(offer, &answer.replace(port, &elsewhere)).unwrap();
    let frames = Frames::Sealed(scene.household.group.frame_keys().unwrap());
    let network = Conditions::default();
    let lonely = ViewerId(77);
    crowd.viewers.join(
        lonely,
        NewViewer {
            peer,
            camera: CAMERA,
            network,
            opens_one_in: 1,
            player_delay: Duration::ZERO,
            frames,
            asked,
        },
    );
    let deadline = Instant::now() + LIMIT;
    let ended = loop {
        assert!(Instant::now() < deadline, "the end is not told");
        let taken = crowd.viewers.take();
        assert!(taken.states.iter().any(|state| state.id == watched && state.ended.is_none()));
        if let Some(state) =
            taken.states.into_iter().find(|state| state.id == lonely && state.ended.is_some())
        {
            break state;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!((ended.party, ended.connected, ended.first_frame_at), (Some(Party::Server), false, None));
    println!("not there: {} ({:?})", ended.ended.unwrap(), asked.elapsed());
    scene.house.relay.shutdown().await;
}

/// `cargo test --release -p latchkey-loadtest --test fleet -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: three hundred viewers for ten seconds"]
async fn what_three_hundred_viewers_cost_their_driver() {
    let mut scene = Scene::new().await;
    for (opens_one_in, profile) in [(1, Profile::Fair), (10, Profile::Fair), (1, Profile::Wifi)] {
        let mut crowd = Crowd::new();
        for seed in 0..300 {
            scene.join(&mut crowd, profile.conditions(seed), opens_one_in).await;
        }
        crowd.until("all watch", |crowd| crowd.window.viewers == 300);
        (crowd.window, crowd.expected, crowd.opened) = (Window::default(), 0, 0);
        for _ in 0..10 {
            std::thread::sleep(Duration::from_secs(1));
            crowd.take();
        }
        crowd.told(&format!("300 viewers, one frame in {opens_one_in} opened, network {}", profile.name()));
        let share = crowd.window.driver_cpu.as_secs_f64() / crowd.window.length.as_secs_f64();
        println!("  the driver used {:.1} % of a core", share * 100.0);
        assert!(crowd.window.viewer.received > 0);
    }
    scene.house.relay.shutdown().await;
}
