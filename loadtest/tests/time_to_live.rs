//! How soon a viewer sees something, and how soon it sees the present: joins of the SDK's own viewer over loopback.
//!
//! ```text
//!   Viewer::start ─▶ vault, sign-in, group, grant, WHEP, ICE, DTLS ─▶ first opened frame ─▶ first one not older than 150 ms
//! ```
//! `LATCHKEY_JOINS` says how many joins there are. Times are printed and not judged: machines differ.
#![allow(clippy::print_stdout)] // figures are for whoever runs it

mod support;

use std::time::{Duration, Instant, SystemTime};

use latchkey::source::spec::SourceSpec;
use latchkey::viewer::OpenedFrame;
use latchkey::{Camera, CameraConfig, Viewer, ViewerConfig};
use support::{Home, LIMIT, clip};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// Joins where nobody says how many.
const JOINS: usize = 4;
/// No older is what is shown as live.
const LIVE: Duration = Duration::from_millis(150);

#[tokio::test(flavor = "multi_thread")]
async fn a_join_leads_to_a_picture_and_then_to_the_present() {
    let home = tokio::task::block_in_place(Home::new);
    let camera = CameraConfig::new(&home.camera.home, SourceSpec::file(clip()));
    let sending = Camera::start(camera).await.expect("the camera starts");
    let deadline = Instant::now() + LIMIT;
    while sending.stats().sent_video == 0 {
        assert!(Instant::now() < deadline, "the camera sent nothing within 30 s");
        sleep(Duration::from_millis(20)).await;
    }
    let mut joins = Vec::new();
    for number in 0..how_many() {
        // Joins fall anywhere between two key frames.
        sleep(Duration::from_millis(300 + number as u64 * 617 % 2000)).await;
        joins.push(join(&home).await);
    }
    sending.stop().await;
    let told = |what: &str, time: fn(&Join) -> Duration| {
        let mut times: Vec<f64> = joins.iter().map(|join| time(join).as_secs_f64() * 1e3).collect();
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times[((times.len() as f64 * share).ceil() as usize).clamp(1, times.len()) - 1];
        let (p50, p95, longest) = (at(0.5), at(0.95), at(1.0));
        println!(
            "join: {what} after p50 {p50:.0} ms, p95 {p95:.0} ms, longest {longest:.0} ms ({} joins)",
            times.len()
        );
    };
    told("first opened frame", |join| join.first);
    told("first frame not older than 150 ms", |join| join.present);
    told("first frame proven live by the camera's answer", |join| join.proven);
}

/// How long a join took.
struct Join {
    first: Duration,
    present: Duration,
    proven: Duration,
}

async fn join(home: &Home) -> Join {
    let (sender, mut frames) = mpsc::channel::<OpenedFrame>(4096);
    let mut config = ViewerConfig::new(&home.viewer.home, &home.camera.id);
    config.frames = Some(sender);
    let asked = Instant::now();
    let handle = Viewer::start(config).await.expect("the viewer starts");
    let (mut first, mut present, mut proven) = (None, None, None);
    while present.is_none() || proven.is_none() {
        let next = timeout(LIMIT, frames.recv()).await;
        let frame = next.unwrap_or_else(|_| panic!("no frame for 30 s: {:?}", handle.stats()));
        let frame = frame.unwrap_or_else(|| panic!("the viewer ended: {:?}", handle.stats()));
        let after = asked.elapsed();
        assert!(after < LIMIT, "not live within 30 s: {:?}", handle.stats());
        first.get_or_insert(after);
        if SystemTime::now().duration_since(frame.captured).unwrap_or_default() <= LIVE {
            present.get_or_insert(after);
        }
        if frame.live {
            proven.get_or_insert(after);
        }
    }
    handle.stop().await;
    let known = |time: Option<Duration>| time.expect("the loop waits for all of them");
    Join { first: known(first), present: known(present), proven: known(proven) }
}

fn how_many() -> usize {
    let asked = std::env::var("LATCHKEY_JOINS").ok().and_then(|joins| joins.parse().ok());
    asked.filter(|joins| *joins > 0).unwrap_or(JOINS)
}
