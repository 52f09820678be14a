//! The harness finds faults that were planted: a proxy before the relay loses, delays or repeats what viewers get, counts
//! it itself, and the run's figures must say the same.
//!
//! ```text
//!   cameras ──▶ proxy (fair) ──▶ relay ──▶ proxy (the planted fault) ──▶ ten viewers of a run
//! ```
#![allow(clippy::print_stdout)] // figures are for whoever runs it
#![allow(clippy::unwrap_used)]

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use latchkey_loadtest::live::Snapshot;
use latchkey_loadtest::lossy::{Counts, Lossy, Report, Weather};
use latchkey_loadtest::measure::latency::LatencyFigures;
use latchkey_loadtest::measure::line::{Line, Party, StepLine, VerdictLine};
use latchkey_loadtest::run::stage::Steps;
use latchkey_loadtest::run::target::{Running, Target};
use latchkey_loadtest::run::{self, Order, Witness};
use latchkey_loadtest::scenario::Scenario;
use latchkey_loadtest::server::{Server, Setup};
use str0m_netem::{NetemConfig, Probability, RandomLoss};
use tokio_util::sync::CancellationToken;

const VIEWERS: u32 = 10;
/// 300 packets a second for each of ten viewers: about 36 000 in all.
const MEASURED: Duration = Duration::from_secs(12);
/// Of the datagrams that meet a fault.
const SHARE: f32 = 0.01;

/// One run at a time: each measures how late packets are.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn one_percent_of_loss_is_told_as_one_percent() {
    let loss = NetemConfig::new().loss(RandomLoss::new(Probability::new(SHARE)));
    let seen = watch("1 % loss", down(loss, 0x10));
    let Counts { media, media_lost, .. } = seen.proxy;
    assert_near("the loss that the proxy counted", seen.step.first_loss_pct, percent(media_lost, media), 0.1);
    // The loss that was asked for, as far as so many packets can tell: four standard deviations.
    let asked = f64::from(SHARE) * seen.step.viewer.expected as f64;
    let lost = seen.step.viewer.lost_first as f64;
    assert!((lost - asked).abs() < 4.0 * asked.sqrt(), "{lost} lost, {asked} asked for");
    // What was lost is asked for and comes again: hardly anything is missing in the end.
    assert!(seen.step.viewer.repaired > 0 && seen.step.loss_pct < 0.1, "{:?}", seen.step.viewer);
    assert_eq!(seen.step.viewer.repeated, 0, "{:?}", seen.step.viewer);
}

#[test]
fn one_percent_of_repeats_is_told_as_one_percent() {
    let twice = NetemConfig::new().duplicate(Probability::new(SHARE));
    let seen = watch("1 % repeats", down(twice, 0x20));
    let Counts { media, media_repeated, .. } = seen.proxy;
    assert_near(
        "the repeats that the proxy made",
        seen.step.repeated_pct,
        percent(media_repeated, media),
        0.1,
    );
    let StepLine { viewer, .. } = &seen.step;
    assert_eq!((viewer.lost_first, viewer.frames_refused), (0, 0), "{viewer:?}");
    // A frame that came twice is not opened twice.
    assert!(viewer.frames_opened <= viewer.frames_expected && seen.step.opened_pct > 99.0, "{viewer:?}");
}

#[test]
fn fifty_milliseconds_are_told_as_fifty() {
    let fair = watch("fair", Weather::fair());
    assert_eq!((fair.step.viewer.lost_first, fair.step.viewer.repeated), (0, 0), "{:?}", fair.step.viewer);
    let late = watch("50 ms", down(NetemConfig::new().latency(Duration::from_millis(50)), 0x30));
    let Seen { step: fair, .. } = fair;
    for (what, fair, late) in [
        ("frames", &fair.frame_latency, &late.step.frame_latency),
        ("packets", &fair.packet_latency, &late.step.packet_latency),
    ] {
        // What a busy machine adds it adds to some: those that were fastest tell what was planted, to a bucket's width.
        let more = fastest_ms(late) - fastest_ms(fair);
        assert!((45.0..60.0).contains(&more), "the fastest {what}: {more} ms more");
        assert!(late.p50_ms > 49.0, "half of the {what} within {} ms", late.p50_ms);
    }
    assert_eq!(late.step.viewer.lost_first, 0, "late is not lost: {:?}", late.step.viewer);
}

/// What the fastest twentieth stayed within.
fn fastest_ms(told: &LatencyFigures) -> f64 {
    let mut left = told.count.div_ceil(20);
    let within = told.buckets.iter().find(|(_, count)| {
        let ends_here = left <= *count;
        left = left.saturating_sub(*count);
        ends_here
    });
    within.expect("a step is told with its buckets").0
}

/// A fault on the way to the viewers only.
fn down(conditions: NetemConfig, seed: u64) -> Weather {
    Weather { down: conditions, seed, ..Weather::fair() }
}

/// What the run says, and what the proxy did in the same time.
struct Seen {
    step: StepLine,
    proxy: Counts,
}

/// Lets viewers watch through weather and returns the one step of the run.
fn watch(name: &str, weather: Weather) -> Seen {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (proxy, dir) = (Lossy::start().unwrap(), tempfile::tempdir().unwrap());
    let mut setup = Setup::for_load(1, &[]);
    setup.more.extend(["--public-address".to_owned(), proxy.address().to_string()]);
    let server = Server::start_with(dir.path(), setup).unwrap();
    proxy.forward_to(server.doors().media.parse().unwrap());
    let order = Order {
        scenario: scenario(name),
        target: Target::Latchkey(Running {
            url: server.doors().signaling_url.parse().unwrap(),
            ops: server.doors().ops_url.parse().ok(),
            pid: None,
            invite_code: None,
            media: None,
        }),
        drivers: Some(1),
    };
    let mut planter = Planter { proxy: &proxy, weather, leg: None, before: Report::default(), seen: None };
    let verdict = run::run(&order, &mut Steps::of(&order.scenario), &mut planter, &CancellationToken::new());
    let seen = planter.seen.expect("the step was measured to its end");
    tell(name, &seen, &verdict.unwrap());
    seen
}

fn scenario(name: &str) -> Scenario {
    let mut scenario = Scenario::default();
    name.clone_into(&mut scenario.name);
    "synthetic".clone_into(&mut scenario.camera.clip);
    (scenario.households.count, scenario.households.cameras, scenario.households.members) = (1, 1, 2);
    (scenario.viewers.count, scenario.viewers.steps) = (VIEWERS, Vec::new());
    scenario.viewers.opens_one_in = 1;
    scenario.phases.ramp.0 = Duration::from_secs(1);
    scenario.phases.settle.0 = Duration::from_secs(2);
    scenario.phases.steady.0 = MEASURED;
    scenario
}

/// Plants the fault when the cameras send and no viewer is there yet, and looks at the proxy when figures begin and end.
struct Planter<'a> {
    proxy: &'a Lossy,
    weather: Weather,
    leg: Option<usize>,
    before: Report,
    seen: Option<Seen>,
}

impl Witness for Planter<'_> {
    fn line(&mut self, line: &Line) {
        let report = || self.leg.map(|leg| self.proxy.report(leg)).unwrap_or_default();
        match line {
            Line::Run(_) => self.leg = Some(self.proxy.begin(self.weather)),
            // The last second before the step ends where the step begins.
            Line::Second(second) if second.step.is_none() && self.seen.is_none() => self.before = report(),
            Line::Step(step) if step.step.is_some() => {
                let proxy = report().since(self.before).down;
                self.seen = Some(Seen { step: (**step).clone(), proxy });
            }
            Line::Fault(fault) => {
                assert_ne!(fault.party, Party::Server, "{fault:?}");
            }
            _ => {}
        }
    }

    fn prepare(&mut self, _: &str, _: u64, _: u64) {}
    fn show(&mut self, _: &Snapshot) {}
}

fn percent(part: u64, whole: u64) -> f64 {
    assert!(whole > 20_000, "the proxy saw {whole} packets of media: too few to tell");
    100.0 * part as f64 / whole as f64
}

/// `share` is how far it may be off, of `expected`.
fn assert_near(what: &str, told: f64, expected: f64, share: f64) {
    assert!((told - expected).abs() <= share * expected, "the run says {told} %, {what} is {expected} %");
}

fn tell(name: &str, seen: &Seen, verdict: &VerdictLine) {
    let Seen { step, proxy } = seen;
    println!(
        "{name}: {} packets, first loss {:.3} %, repeats {:.3} %, repaired {}, p50 {:.2} ms, opened {:.2} %; the proxy: \
         {} packets of media, {} lost, {} repeated; {:?}",
        step.viewer.expected,
        step.first_loss_pct,
        step.repeated_pct,
        step.viewer.repaired,
        step.frame_latency.p50_ms,
        step.opened_pct,
        proxy.media,
        proxy.media_lost,
        proxy.media_repeated,
        verdict.verdict,
    );
}
