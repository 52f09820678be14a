//! What a forwarded packet costs: the shipped relay against the kernel floor, in one run.
//!
//! ```text
//! cargo bench -p latchkey-relay --bench forward                       # all rows, several minutes
//! cargo bench -p latchkey-relay --bench forward -- --shape burst --viewers 100 --rounds 1
//! ```
//!
//! Each row runs floor and relay in turn, `--rounds` times, on the same processor, and prints the round with the median
//! ratio. The relay is the release binary as a child process with ICE, DTLS, RTCP and metrics on. Nothing fails on a figure.
//! `relay/docs/forwarding-cost.md` says what the fields mean.
#![allow(clippy::print_stdout)] // the rows are the output

mod cores;
mod floor;
mod keys;
mod pair;
mod peer;
mod publisher;
mod relay_child;
mod storm;
mod viewers;
mod workload;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Parser;
use latchkey_e2ee::seal::FrameSealer;
use latchkey_relay_floor::cores::process_cpu;
use str0m::media::Direction;

use crate::floor::Floor;
use crate::keys::Keys;
use crate::peer::Peer;
use crate::publisher::{Closings, Published};
use crate::relay_child::RelayChild;
use crate::viewers::{Seen, Viewer};
use crate::workload::{Births, Shape, Workload};

#[derive(Parser)]
struct Options {
    /// Only this row: burst, spread, storm (a crowd joins), shards (two beside one).
    #[arg(long, value_parser = ["burst", "spread", "storm", "shards"])]
    shape: Option<String>,
    /// Only this many viewers.
    #[arg(long)]
    viewers: Option<usize>,
    /// Only this SRTP profile; by default AES-GCM everywhere and the other one once. The floor seals with AES-GCM always.
    #[arg(long, value_parser = ["gcm128", "sha1_80"])]
    profile: Option<String>,
    /// Shards of the relay.
    #[arg(long, default_value_t = 1)]
    shards: usize,
    /// Floor and relay in turn, so many times.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Measured seconds of each run.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Another build of the relay, to compare with.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_latchkey-relay"))]
    relay: PathBuf,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What one run of the relay gave.
struct Run {
    us_per_packet: f64,
    kb_per_viewer: f64,
    media_kb: u64,
    loss_pct: f64,
    late_pct: f64,
    driver_cpu_pct: f64,
    seen: Seen,
}

/// What was measured between the first and the last moment of the window.
struct Window {
    cpu: Duration,
    driver_cpu: Duration,
    published: Published,
    full_kb: u64,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let wanted = |name: &str| options.shape.as_ref().is_none_or(|wanted| wanted == name);
    let shapes = [Shape::Burst, Shape::Spread].into_iter();
    for shape in shapes.filter(|shape| wanted(shape.name())) {
        for viewers in
            [10, 100, 300].into_iter().filter(|n| options.viewers.is_none_or(|wanted| wanted == *n))
        {
            let workload = Workload {
                shape,
                viewers,
                measured_cores: options.shards,
                warm_up: Duration::from_secs(2),
                window: Duration::from_secs(options.seconds),
            };
            for profile in profiles(&workload, &options) {
                row(&workload, profile, &options)?;
            }
        }
    }
    if wanted("storm") {
        storm::row(&options)?;
    }
    if wanted("shards") {
        pair::rows(&options)?;
    }
    Ok(())
}

fn profiles<'a>(workload: &Workload, options: &'a Options) -> Vec<&'a str> {
    match &options.profile {
        Some(profile) => vec![profile],
        None if workload.shape == Shape::Burst && workload.viewers == 100 => vec!["gcm128", "sha1_80"],
        None => vec!["gcm128"],
    }
}

fn row(workload: &Workload, profile: &str, options: &Options) -> anyhow::Result<()> {
    cores::allow_sockets(workload.viewers as u64);
    let mut rounds: Vec<(Floor, Run)> = (0..options.rounds.max(1))
        .map(|_| {
            let floor = floor::run(workload).context("the floor")?;
            let run = relay(workload, profile, &options.relay).context("the relay")?;
            if run.loss_pct > 0.5 {
                eprintln!(
                    "forward: {:.1} % of the packets of a round did not arrive, its figures mean little",
                    run.loss_pct
                );
            }
            Ok((floor, run))
        })
        .collect::<anyhow::Result<_>>()?;
    let ratio = |(floor, run): &(Floor, Run)| run.us_per_packet / floor.us_per_packet;
    rounds.sort_by(|a, b| ratio(a).total_cmp(&ratio(b)));
    let (floor, run) = &rounds[rounds.len() / 2];
    let ratios: Vec<String> = rounds.iter().map(|round| format!("{:.2}", ratio(round))).collect();
    println!(
        "forward: shape={} profile={} shards={} viewers={} us_per_packet={:.2} floor_us={:.2} ratio={:.2} p50_us={} \
         p99_us={} floor_p99_us={} kb_per_viewer={:.1} loss_pct={:.3} opened={} not_opened={} floor_p50_us={} \
         floor_loss_pct={:.3} media_kb={} late_pct={:.1} driver_cpu_pct={:.0} load={} ratios={}",
        workload.shape.name(),
        profile,
        workload.measured_cores,
        workload.viewers,
        run.us_per_packet,
        floor.us_per_packet,
        run.us_per_packet / floor.us_per_packet,
        run.seen.latency.value_at_quantile(0.5),
        run.seen.latency.value_at_quantile(0.99),
        floor.latency.value_at_quantile(0.99),
        run.kb_per_viewer,
        run.loss_pct,
        run.seen.opened,
        run.seen.failed,
        floor.latency.value_at_quantile(0.5),
        floor.loss_pct,
        run.media_kb,
        run.late_pct,
        run.driver_cpu_pct,
        cores::load(),
        ratios.join(","),
    );
    Ok(())
}

fn relay(workload: &Workload, profile: &str, binary: &Path) -> anyhow::Result<Run> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let child = RelayChild::start(binary, workload.measured_cores, profile)?;
    let mut keys = Keys::new()?;
    let mut sealer = keys.sealer()?;
    let (mut publisher, offer, pending) = Peer::offer(Direction::SendOnly)?;
    publisher.accept(pending, &runtime.block_on(child.post("whip", 0, offer))?)?;
    publisher::connect(&mut publisher)?;

    let empty_kb = child.resident_kb()?;
    let (births, closings) = (Births::new(workload.frames()), Closings::default());
    let (connected, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut fleets: Vec<Vec<Viewer>> = (0..DRIVERS).map(|_| Vec::new()).collect();
    for index in 0..workload.viewers {
        let (mut peer, offer, pending) = Peer::offer(Direction::RecvOnly)?;
        let device = u32::try_from(index + 1)?;
        peer.accept(pending, &runtime.block_on(child.post("whep", device, offer))?)?;
        let opener = if index % SAMPLE == 0 { Some(keys.opener()?) } else { None };
        fleets[index % DRIVERS].push(Viewer::new(peer, opener));
        publisher::idle(&mut publisher, Duration::ZERO)?;
    }
    let mut connected_kb = empty_kb;
    std::thread::scope(|scope| {
        let drivers: Vec<_> = fleets
            .iter_mut()
            .map(|fleet| scope.spawn(|| viewers::run(fleet, workload, &births, &closings, &connected, &stop)))
            .collect();
        let window = wait_for_viewers(workload, &mut publisher, &connected).and_then(|()| {
            connected_kb = child.resident_kb()?;
            measure(&child, workload, &mut publisher, &mut sealer, &births, &closings)
        });
        stop.store(true, Ordering::Relaxed);
        let mut seen = Seen::new();
        for driver in drivers {
            seen.add(&driver.join().expect("a driver does not panic")?);
        }
        let Window { cpu, driver_cpu, published, full_kb } = window?;
        let sent = published.packets * workload.viewers as u64;
        Ok(Run {
            us_per_packet: cpu.as_secs_f64() * 1e6 / sent as f64,
            kb_per_viewer: connected_kb.saturating_sub(empty_kb) as f64 / workload.viewers as f64,
            media_kb: full_kb.saturating_sub(connected_kb),
            loss_pct: 100.0 * (1.0 - seen.packets as f64 / sent as f64),
            late_pct: 100.0 * published.late as f64 / published.packets as f64,
            driver_cpu_pct: 100.0 * driver_cpu.as_secs_f64() / workload.window.as_secs_f64(),
            seen,
        })
    })
}

fn wait_for_viewers(
    workload: &Workload,
    publisher: &mut Peer,
    connected: &AtomicUsize,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let there = connected.load(Ordering::Relaxed);
        if there == workload.viewers {
            return Ok(());
        }
        anyhow::ensure!(
            Instant::now() < deadline,
            "{there} of {} viewers connected within 60 s",
            workload.viewers
        );
        publisher::idle(publisher, Duration::from_millis(5))?;
    }
}

fn measure(
    child: &RelayChild,
    workload: &Workload,
    publisher: &mut Peer,
    sealer: &mut FrameSealer,
    births: &Births,
    closings: &Closings,
) -> anyhow::Result<Window> {
    let (mut cpu, mut driver_cpu) = (Duration::ZERO, Duration::ZERO);
    let published = publisher::run(publisher, sealer, workload, births, closings, &mut |is_first| {
        let (relay, driver) = (child.cpu()?, process_cpu(std::process::id())?);
        (cpu, driver_cpu) = if is_first { (relay, driver) } else { (relay - cpu, driver - driver_cpu) };
        Ok(())
    })?;
    Ok(Window { cpu, driver_cpu, published, full_kb: child.resident_kb()? })
}

/// Threads that drive viewers.
const DRIVERS: usize = 2;
/// One viewer in so many opens every frame.
const SAMPLE: usize = 10;
