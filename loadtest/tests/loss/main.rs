//! Frames arrive although packets do not: on either side of the relay what is lost is asked for and comes again.
#![allow(clippy::print_stdout)] // figures are for whoever runs it

mod machine;
#[path = "../support/mod.rs"]
mod support;
mod watching;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use latchkey::source::spec::SourceSpec;
use latchkey::stats::ViewerStats;
use latchkey::{Camera, CameraConfig};
use latchkey_loadtest::household::{Device, Household, Role};
use latchkey_loadtest::lossy::{Lossy, Report, Weather};
use latchkey_loadtest::server::{Server, Setup};
use machine::Machine;
use str0m_netem::{GilbertElliot, NetemConfig, Probability, RandomLoss};
use support::{Home, LIMIT, clip};
use tokio::time::sleep;
use watching::{BEHIND, Sealed, Watching};

/// How long frames are counted; `LATCHKEY_LOSS_SECONDS` makes it longer.
const WATCHED: Duration = Duration::from_secs(16);
/// Key frames, keys and the catch-up of a join are over by then.
const SETTLED: Duration = Duration::from_secs(3);
/// The longest that a frame sealed last may still be under way.
const UNDER_WAY: Duration = Duration::from_secs(2);
/// Frames a second of the clip.
const FPS: f64 = 25.0;
/// Of the frames that the camera sealed while a viewer watched, at least so many opened.
const SHARE: f64 = 0.97;

#[tokio::test(flavor = "multi_thread")]
async fn random_loss_and_jitter_before_the_viewers() {
    let run = watch("5 % random", Weather::fair(), random_loss()).await;
    run.is_repaired();
    assert!(run.viewers_leg.up.lost > 0 && run.viewers_leg.down.lost > 0, "{:?}", run.viewers_leg);
    assert!(run.nacks > 0 && run.repairs > 0);
    // One question per loss, more where one or its answer is lost; not as many as fit until somebody gives up.
    let lost = run.viewers_leg.down.lost;
    assert!(run.nacks < 5 * lost, "{} packets asked for, {lost} lost", run.nacks);
}

#[tokio::test(flavor = "multi_thread")]
async fn bursts_of_loss_before_the_viewers() {
    let bursts = GilbertElliot::new().good_duration(147.0).bad_duration(3.0);
    let run = watch("2 % bursts", Weather::fair(), Weather::both_ways(path().loss(bursts), 0xb)).await;
    run.is_repaired();
    assert!(run.viewers_leg.down.lost > 0, "{:?}", run.viewers_leg);
    assert!(run.nacks > 0 && run.repairs > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn random_loss_behind_the_camera() {
    let run = watch("camera 5 %", random_loss(), Weather::fair()).await;
    run.is_repaired();
    assert!(run.camera_leg.up.lost > 0 && run.camera_leg.down.lost > 0, "{:?}", run.camera_leg);
    assert!(run.upstream_nacks > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_and_disorder_before_the_viewers() {
    // Some are under way longer than a frame lasts, so that frames overtake each other, too.
    let twice = NetemConfig::new().latency(Duration::from_millis(20)).duplicate(Probability::new(0.01));
    let detour = Some((10, Duration::from_millis(80)));
    let run = watch("disorder", Weather::fair(), Weather { detour, ..Weather::both_ways(twice, 0xd) }).await;
    run.is_repaired();
    let down = run.viewers_leg.down;
    assert!(down.repeated > 0 && down.overtaken > 0 && down.lost == 0, "{down:?}");
}

/// The share that the others ask for is no gift: the same loss without anyone who hears the viewers.
#[tokio::test(flavor = "multi_thread")]
async fn without_repairs_the_same_loss_is_seen() {
    let run = watch_and("unheard", Weather::fair(), random_loss(), Lossy::silence).await;
    assert!(run.viewers_leg.up.unheard > 0);
    assert_eq!((run.nacks, run.repairs), (0, 0), "nobody was asked");
    for seen in &run.seen {
        assert_eq!(seen.failed, 0, "what comes opens: {:?}", seen.stats);
        assert!(seen.share() < SHARE - 0.1, "{} of {} frames opened", seen.opened, run.sealed);
    }
}

/// 20 ms, up to 50 ms more or less.
fn path() -> NetemConfig {
    NetemConfig::new().latency(Duration::from_millis(20)).jitter(Duration::from_millis(50))
}

fn random_loss() -> Weather {
    Weather::both_ways(path().loss(RandomLoss::new(Probability::new(0.05))), 0xa)
}

/// What came of it.
struct Run {
    sealed: usize,
    /// How long was watched, how often this machine stood still meanwhile, and for how long at most.
    watched: Duration,
    stood: (usize, Duration),
    seen: Vec<Seen>,
    camera_leg: Report,
    viewers_leg: Report,
    nacks: u64,
    repairs: u64,
    upstream_nacks: u64,
}

/// What one viewer saw of the frames that were counted.
struct Seen {
    sealed: usize,
    opened: usize,
    shown: usize,
    /// Frames that did not open, those apart that had opened before.
    failed: u64,
    /// How long the picture stood still where each frame is shown as it opens, and by a player that is late by [`BEHIND`].
    frozen: [Duration; 2],
    longest: Duration,
    stats: ViewerStats,
}

impl Seen {
    fn share(&self) -> f64 {
        self.opened.min(self.shown) as f64 / self.sealed.max(1) as f64
    }
}

impl Run {
    fn is_repaired(&self) {
        if self.sealed == 0 {
            println!("loss: this machine stood still again and again: nothing can be said");
            return;
        }
        for seen in &self.seen {
            assert_eq!(seen.failed, 0, "every frame opens: {:?}", seen.stats.failed);
            assert!(
                seen.share() >= SHARE,
                "{} of {} frames opened: {:?}",
                seen.opened,
                self.sealed,
                seen.stats
            );
        }
    }
}

/// Lets two viewers watch a camera through weather and counts.
async fn watch(name: &str, camera: Weather, viewers: Weather) -> Run {
    watch_and(name, camera, viewers, |_, _| {}).await
}

/// As [`watch`]; once everybody watches, `change` is done to the viewers' leg.
async fn watch_and(name: &str, camera: Weather, viewers: Weather, change: impl FnOnce(&Lossy, usize)) -> Run {
    let proxy = Lossy::start().expect("a port for the proxy");
    let (home, second) = tokio::task::block_in_place(|| home_behind(&proxy));
    let camera_leg = proxy.begin(camera);
    let machine = Machine::observe();
    let sealed = Arc::new(Sealed::new(machine.clone()));
    let mut config = CameraConfig::new(&home.camera.home, SourceSpec::file(clip()));
    config.observer = Some(sealed.clone());
    let sending = Camera::start(config).await.expect("the camera starts");
    let deadline = Instant::now() + LIMIT;
    while sending.stats().sent_video == 0 {
        assert!(Instant::now() < deadline, "the camera sent nothing within 30 s");
        sleep(Duration::from_millis(20)).await;
    }
    let viewers_leg = proxy.begin(viewers);
    let watching =
        [Watching::start(&home.viewer, &home.camera).await, Watching::start(&second, &home.camera).await];
    for viewer in &watching {
        assert!(viewer.handle.wait_first_frame(LIMIT).await, "no picture: {:?}", viewer.handle.stats());
    }
    change(&proxy, viewers_leg);
    sleep(SETTLED).await;

    let metrics = Metrics::of(&home.server).await;
    let reports = (proxy.report(camera_leg), proxy.report(viewers_leg));
    let began = (sealed.count(), SystemTime::now());
    let failed: Vec<u64> = watching.iter().map(Watching::failed).collect();
    let mut counted = Vec::new();
    // Goes on for as long as this machine takes away.
    for _ in 0..4 {
        sleep(watched()).await;
        counted = sealed.since(began.0);
        if counted.len() as f64 >= FPS * watched().as_secs_f64() / 2.0 {
            break;
        }
    }
    let over = SystemTime::now();
    sleep(UNDER_WAY).await;
    let later = Metrics::of(&home.server).await;
    // What stood still since then did so while the last of them were under way.
    counted.retain(|(_, at)| machine.ran(*at));

    let mut seen = Vec::new();
    for (viewer, failed) in watching.into_iter().zip(failed) {
        let opened = viewer.received.of(&counted);
        let (shown, frozen, longest) = viewer.shown((began.1, over), &machine);
        let failed = viewer.failed() - failed;
        let stats = viewer.handle.stats();
        viewer.handle.stop().await;
        seen.push(Seen { sealed: counted.len(), opened, shown, failed, frozen, longest, stats });
    }
    sending.stop().await;
    machine.end();
    let run = Run {
        sealed: counted.len(),
        watched: over.duration_since(began.1).unwrap_or_default(),
        stood: machine.stood(began.1),
        seen,
        camera_leg: proxy.report(camera_leg).since(reports.0),
        viewers_leg: proxy.report(viewers_leg).since(reports.1),
        nacks: later.nacks - metrics.nacks,
        repairs: later.repairs - metrics.repairs,
        upstream_nacks: later.upstream_nacks - metrics.upstream_nacks,
    };
    run.tell(name, later.video_out - metrics.video_out);
    run
}

impl Run {
    fn tell(&self, name: &str, video_out: u64) {
        let ways = [
            ("camera up", self.camera_leg.up),
            ("camera down", self.camera_leg.down),
            ("viewers up", self.viewers_leg.up),
            ("viewers down", self.viewers_leg.down),
        ];
        for (way, counts) in ways.into_iter().filter(|(_, counts)| counts.lost + counts.overtaken > 0) {
            println!("loss: {name}: {way}: {counts:?}");
        }
        println!(
            "loss: {name}: asked for {} packets, repeated {} of {video_out} video packets sent ({:.1} %); NACKs upstream {}",
            self.nacks,
            self.repairs,
            100.0 * self.repairs as f64 / video_out.max(1) as f64,
            self.upstream_nacks
        );
        if self.stood.0 > 0 {
            let (times, longest) = (self.stood.0, self.stood.1.as_millis());
            println!(
                "loss: {name}: this machine stood still {times} times, {longest} ms at most: frames of then are not counted"
            );
        }
        for seen in &self.seen {
            let watched = self.watched.as_secs_f64();
            println!(
                "loss: {name}: opened {} of {} frames ({:.1} %), shown {}, frozen {:.1} % of the time ({:.1} % at {} ms behind), longest {} ms; {:?}, lost for good {}, reconnects {}",
                seen.opened,
                self.sealed,
                100.0 * seen.share(),
                seen.shown,
                100.0 * seen.frozen[0].as_secs_f64() / watched,
                100.0 * seen.frozen[1].as_secs_f64() / watched,
                BEHIND.as_millis(),
                seen.longest.as_millis(),
                seen.stats.failed,
                seen.stats.packets_lost,
                seen.stats.reconnects
            );
        }
    }
}

/// A household whose relay is met through the proxy only, with a second viewer.
fn home_behind(proxy: &Lossy) -> (Home, Device) {
    let dir = tempfile::Builder::new().prefix("latchkey-test-").tempdir().expect("a temporary folder");
    let more = vec!["--public-address".to_owned(), proxy.address().to_string()];
    let server = Server::start_with(dir.path(), Setup { more, ..Setup::default() }).expect("a server");
    let relay: SocketAddr = server.doors().media.parse().expect("the media socket's address");
    proxy.forward_to(relay);
    let household = Household::create(dir.path(), &server.doors().signaling_url, "Ada").expect("a household");
    let camera = household.enrol(Role::Camera, "Front door").expect("the camera joins");
    let viewer = household.enrol(Role::Viewer, "Kitchen").expect("a viewer joins");
    let second = household.enrol(Role::Viewer, "Telephone").expect("a viewer joins");
    (Home { server, household, camera, viewer, dir }, second)
}

fn watched() -> Duration {
    let longer = std::env::var("LATCHKEY_LOSS_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    longer.map_or(WATCHED, Duration::from_secs)
}

/// What the relay has counted.
struct Metrics {
    nacks: u64,
    repairs: u64,
    upstream_nacks: u64,
    video_out: u64,
}

impl Metrics {
    async fn of(server: &Server) -> Self {
        let url = format!("{}/metrics", server.doors().ops_url.trim_end_matches('/'));
        let reply = reqwest::get(url).await.expect("the ops port answers");
        let text = reply.text().await.expect("metrics");
        let value = |series: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(series));
            let number = line.and_then(|rest| rest.trim().parse::<f64>().ok());
            number.unwrap_or_else(|| panic!("no {series} in the metrics:\n{text}")) as u64
        };
        Self {
            nacks: value("relay_nack_total "),
            repairs: value("relay_rtx_packets_total "),
            upstream_nacks: value("relay_upstream_nack_total "),
            video_out: value("relay_packets_total{dir=\"out\",kind=\"video\",transport=\"webrtc\"} "),
        }
    }
}
