//! The row `storm`: as many as watch a camera join it within one second, and none of them may ask it for a key frame.
//!
//! ```text
//! | not measured, 3 s | steady, 2 s | storm, 2 s: one join every 10 ms in its first second |
//! key                key           key           ^ the kept group of pictures is 1 to 2 s long
//! ```

mod audience;
mod joiner;
mod joins;
mod watcher;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use str0m::media::Direction;

use crate::cores;
use crate::keys::Keys;
use crate::peer::Peer;
use crate::publisher::{self, Closings, Published};
use crate::relay_child::RelayChild;
use crate::storm::audience::{Clock, Member};
use crate::storm::joiner::Joined;
use crate::storm::joins::{Joins, Spent};
use crate::storm::watcher::{Watched, Watcher};
use crate::workload::{Births, FRAMES_PER_SECOND, Shape, Workload};
use crate::{Options, wait_for_viewers};

/// Length of the steady window, and of the storm's.
const WINDOW: Duration = Duration::from_secs(2);
/// Not measured, first. With it the storm begins in the middle between two key frames, so that joiners have the most to catch
/// up with.
const WARM_UP: Duration = Duration::from_secs(3);
/// Threads that drive joining viewers; one more drives those who watch.
const JOIN_DRIVERS: usize = 2;

/// One storm.
struct Storm {
    joined: Joined,
    watched: Watched,
    spent: Spent,
    published: Published,
    lost: u64,
    key_frame_requests: usize,
}

/// Runs storms and prints the one whose watchers suffered neither least nor most.
pub(crate) fn row(options: &Options) -> anyhow::Result<()> {
    let viewers = options.viewers.unwrap_or(100);
    let profile = options.profile.as_deref().unwrap_or("gcm128");
    cores::allow_sockets(2 * viewers as u64);
    let workload = Workload {
        shape: Shape::Burst,
        viewers,
        measured_cores: options.shards,
        warm_up: WARM_UP,
        window: 2 * WINDOW,
    };
    let mut rounds: Vec<Storm> = (0..options.rounds.max(1))
        .map(|_| storm(&workload, profile, options).context("the storm"))
        .collect::<anyhow::Result<_>>()?;
    rounds.sort_by(|a, b| a.watchers_ratio().total_cmp(&b.watchers_ratio()));
    let ratios: Vec<String> = rounds.iter().map(|round| format!("{:.2}", round.watchers_ratio())).collect();
    let storm = &rounds[rounds.len() / 2];
    let (joined, watched, spent) = (&storm.joined, &storm.watched, &storm.spent);
    println!(
        "forward: shape=storm profile={profile} shards={} viewers={viewers} joins={viewers} first_p50_ms={:.0} \
         first_p95_ms={:.0} live_p50_ms={:.0} live_p95_ms={:.0} live_max_ms={:.0} not_live={} cpu_ms_per_join={:.2} \
         packets_per_join={:.0} watchers_p99_us={} before_p99_us={} watchers_ratio={:.2} lost={} not_opened={} \
         key_frame_requests={} post_p95_ms={:.1} late_pct={:.1} load={} ratios={}",
        options.shards,
        milliseconds(joined.first.value_at_quantile(0.5)),
        milliseconds(joined.first.value_at_quantile(0.95)),
        milliseconds(joined.live.value_at_quantile(0.5)),
        milliseconds(joined.live.value_at_quantile(0.95)),
        milliseconds(joined.live.max()),
        viewers as u64 - joined.live.len(),
        spent.storm.saturating_sub(spent.steady).as_secs_f64() * 1e3 / viewers as f64,
        joined.packets as f64 / viewers as f64,
        watched.storm.value_at_quantile(0.99),
        watched.steady.value_at_quantile(0.99),
        storm.watchers_ratio(),
        storm.lost,
        joined.failed,
        storm.key_frame_requests,
        milliseconds(spent.posts.value_at_quantile(0.95)),
        100.0 * storm.published.late as f64 / storm.published.packets as f64,
        cores::load(),
        ratios.join(","),
    );
    Ok(())
}

impl Storm {
    /// How much longer frames took to the watchers while others joined than before.
    fn watchers_ratio(&self) -> f64 {
        self.watched.storm.value_at_quantile(0.99) as f64
            / self.watched.steady.value_at_quantile(0.99).max(1) as f64
    }
}

fn storm(workload: &Workload, profile: &str, options: &Options) -> anyhow::Result<Storm> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let child = RelayChild::start(&options.relay, workload.measured_cores, profile)?;
    let mut keys = Keys::new()?;
    let mut sealer = keys.sealer()?;
    let (mut publisher, offer, pending) = Peer::offer(Direction::SendOnly)?;
    publisher.accept(pending, &runtime.block_on(child.post("whip", 0, offer))?)?;
    publisher::connect(&mut publisher)?;
    let mut watchers = Vec::new();
    for device in 1..=u32::try_from(workload.viewers)? {
        let (mut peer, offer, pending) = Peer::offer(Direction::RecvOnly)?;
        peer.accept(pending, &runtime.block_on(child.post("whep", device, offer))?)?;
        watchers.push(Member { peer, eyes: Watcher::new() });
        publisher::idle(&mut publisher, Duration::ZERO)?;
    }
    let joins = Joins::prepare(workload.viewers, &mut keys)?;

    let storm_frame = workload.warm_up_frames() + WINDOW.as_secs() as u32 * FRAMES_PER_SECOND;
    let (births, closings) = (Births::new(workload.frames()), Closings::default());
    let clock =
        Clock { births: &births, closings: &closings, steady: workload.warm_up_frames(), storm: storm_frame };
    let (connected, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let drive = audience::Drive { cores: workload.measured_cores, clock, connected: &connected, stop: &stop };
    let (drive, child, runtime) = (&drive, &child, &runtime);
    std::thread::scope(|scope| {
        let (_, nobody) = channel();
        let watching = scope.spawn(move || drive.run(watchers, &nobody));
        let (doors, joining): (Vec<_>, Vec<_>) = (0..JOIN_DRIVERS)
            .map(|_| {
                let (door, newcomers) = channel();
                (door, scope.spawn(move || drive.run(Vec::new(), &newcomers)))
            })
            .unzip();
        let (begin, begun) = channel();
        let posting = scope.spawn(move || joins.post((child, runtime), &begun, WINDOW, &doors));
        let published = wait_for_viewers(workload, &mut publisher, &connected).and_then(|()| {
            publisher::run(&mut publisher, &mut sealer, workload, &births, &closings, &mut |is_first| {
                if is_first {
                    begin.send(Instant::now())?;
                }
                Ok(())
            })
        });
        drop(begin);
        stop.store(true, Ordering::Relaxed);
        let mut watched = Watched::default();
        for member in watching.join().expect("a driver does not panic")? {
            watched.add(&member.eyes);
        }
        let mut joined = Joined::default();
        for driver in joining {
            for member in driver.join().expect("a driver does not panic")? {
                joined.add(&member.eyes);
            }
        }
        let (published, spent) = (published?, posting.join().expect("the poster does not panic")?);
        let sent = published.packets * workload.viewers as u64;
        Ok(Storm {
            lost: sent.saturating_sub(watched.packets) + joined.lost,
            key_frame_requests: publisher
                .key_frames_asked
                .iter()
                .filter(|asked| **asked >= spent.begun)
                .count(),
            joined,
            watched,
            spent,
            published,
        })
    })
}

/// A histogram of microseconds.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("the bounds are in order")
}

fn milliseconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1e3
}
