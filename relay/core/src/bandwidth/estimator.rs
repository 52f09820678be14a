//! Puts together what delays, bursts, throughput and loss say: up slowly or by a burst that got through, down at once.

use std::time::{Duration, Instant};

use crate::bandwidth::Estimate;
use crate::bandwidth::cluster::{Clusters, Packet, Shown};
use crate::bandwidth::loss::{Loss, Verdict};
use crate::bandwidth::throughput::Throughput;
use crate::bandwidth::trend::{Trend, Usage};

/// The estimate of one path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Estimator {
    /// Bits per second; `None` before the first packets came.
    rate: Option<f64>,
    /// What the path carried when it last held something up; `None` when it never did, or has carried far more since.
    limit: Option<f64>,
    /// Most that came in half a second since then.
    peak: f64,
    /// Most that a probe showed since then.
    probed: f64,
    /// What the receiver says it can take.
    remb: Option<f64>,
    throughput: Throughput,
    trend: Trend,
    clusters: Clusters,
    loss: Loss,
    /// How fast bursts came lately that the path held up.
    burst: Option<(f64, Instant)>,
    /// Best that clusters showed since the last update, without and with probes.
    shown: (f64, f64),
    limits: (f64, u32),
    probe: Option<(u64, u64)>,
    received: u64,
    over_since: Option<Instant>,
    lowered: Option<Instant>,
    /// When there was an estimate first.
    begun: Option<Instant>,
    updated: Option<Instant>,
}

impl Estimator {
    pub(super) fn new() -> Self {
        Self {
            rate: None,
            limit: None,
            peak: 0.0,
            probed: 0.0,
            remb: None,
            throughput: Throughput::new(),
            trend: Trend::new(),
            clusters: Clusters::default(),
            loss: Loss::new(),
            burst: None,
            shown: (0.0, 0.0),
            limits: (0.0, 0),
            probe: None,
            received: 0,
            over_since: None,
            lowered: None,
            begun: None,
            updated: None,
        }
    }

    /// Bits per second, and whether the path (and not the source) is what bounds them.
    pub(super) fn rate(&self) -> Option<(f64, bool)> {
        let rate = self.rate?;
        Some(match self.remb {
            Some(remb) if remb < rate => (remb, true),
            _ => (rate, self.limit.is_some()),
        })
    }

    pub(super) fn estimate(&self) -> Option<Estimate> {
        let (rate, limited) = self.rate()?;
        Some(Estimate { bits_per_second: rate as u64, limited_by_source: !limited, at: self.updated? })
    }

    /// What came in the last half second, in bits per second.
    pub(super) fn throughput(&self) -> f64 {
        self.throughput.bits_per_second()
    }

    /// When the estimate last went down.
    pub(super) fn lowered(&self) -> Option<Instant> {
        self.lowered
    }

    /// Nothing speaks against trying more.
    pub(super) fn is_clear(&self, now: Instant) -> bool {
        let is_old = self.updated.is_none_or(|at| now.saturating_duration_since(at) >= STALE);
        is_old || self.trend.usage() == Usage::Normal && self.loss.allows_more(now)
    }

    /// These numbers are sent only to see whether they get through.
    pub(super) fn probing(&mut self, first: u64, last: u64) {
        self.probe = Some((first, last));
    }

    /// A packet came, in the order of sending.
    pub(super) fn received(&mut self, packet: Packet) {
        self.received += 1;
        self.throughput.add(packet.arrival, packet.len);
        self.trend.received(packet.sent, packet.arrival);
        self.loss.received();
        if let Some(shown) = self.clusters.received(packet) {
            self.cluster(shown);
        }
    }

    /// A packet came that was told to be lost: others overtook it.
    pub(super) fn came_late(&mut self, packet: Packet) {
        self.throughput.add(packet.arrival, packet.len);
        self.loss.came_after_all();
    }

    /// A packet did not come.
    pub(super) fn lost(&mut self) {
        self.loss.lost();
    }

    /// All that one feedback packet says has been told. Returns whether there is an estimate.
    pub(super) fn update(&mut self, now: Instant) -> bool {
        if let Some((_, last)) = self.probe
            && let Some(shown) = self.clusters.close_from(last.saturating_sub(3))
        {
            self.cluster(shown);
            self.probe = None;
        }
        let came = self.throughput();
        let passed = now.saturating_duration_since(self.updated.replace(now).unwrap_or(now));
        let (shown, limits) = (std::mem::take(&mut self.shown), std::mem::take(&mut self.limits));
        if limits.1 > 0 {
            self.burst = Some((limits.0 / f64::from(limits.1), now));
        }
        if self.rate.is_none() {
            if self.received < FIRST_PACKETS {
                return false;
            }
            (self.rate, self.begun) = (Some((2.0 * came).max(LOWEST)), Some(now));
        }
        let waits = self.trend.waits();
        match self.loss.judge(waits, now) {
            Some(Verdict::Heavy(part)) => self.lower_for_loss(part, now),
            Some(Verdict::Much(part)) => self.lower_slowly(part, came, now),
            _ => {}
        }
        // What was lost on the way as always was carried up to there.
        let carried = came / (1.0 - self.loss.usual());
        self.peak = self.peak.max(if waits { came } else { carried });
        let is_first = self.begun.is_some_and(|at| now.saturating_duration_since(at) < FIRST);
        if is_first && self.limit.is_none() {
            self.rate = self.rate.map(|rate| rate.max(2.0 * came));
        }
        match self.trend.usage() {
            Usage::Over if waits => self.lower_for_delay(now),
            // Nothing speaks for more as long as it is not known what this is.
            Usage::Over => {}
            Usage::Under => self.over_since = None,
            Usage::Normal => {
                self.over_since = None;
                if self.loss.allows_more(now) {
                    let carried = if waits { came } else { carried };
                    self.raise(shown, carried, passed);
                }
            }
        }
        true
    }

    /// Without transport-wide feedback: this part of the packets was lost, when so much was sent.
    pub(super) fn reception(&mut self, part: f64, sent: f64, now: Instant) {
        self.updated = Some(now);
        match Verdict::reported(part) {
            Verdict::Heavy(part) => {
                let before = self.rate.unwrap_or(sent);
                let lowered = (before.min(1.5 * sent) * (1.0 - 0.5 * part)).max(LOWEST);
                (self.rate, self.limit) = (Some(lowered), Some(sent * (1.0 - part)));
                (self.peak, self.lowered) = (sent * (1.0 - part), Some(now));
            }
            Verdict::Clean => {
                self.peak = self.peak.max(sent);
                let ceiling = 2.0 * self.peak;
                let rate = self.rate.get_or_insert(ceiling);
                *rate = rate.max((*rate * REPORT_GAIN).min(ceiling));
                self.outgrow();
            }
            Verdict::Usual | Verdict::Some | Verdict::Much(_) => {}
        }
    }

    /// The receiver's own estimate (REMB).
    pub(super) fn most(&mut self, bits_per_second: u64, now: Instant) {
        let remb = (bits_per_second as f64).max(LOWEST);
        self.remb = Some(remb);
        if self.updated.is_none() || self.rate.is_none() {
            (self.rate, self.updated) = (Some(remb), Some(now));
        }
    }

    fn cluster(&mut self, shown: Shown) {
        if shown.is_limit {
            (self.limits.0, self.limits.1) = (self.limits.0 + shown.bits_per_second, self.limits.1 + 1);
        }
        let probe = self.probe.is_some_and(|(first, last)| (first..=last).contains(&shown.last));
        let best = if probe { &mut self.shown.1 } else { &mut self.shown.0 };
        *best = best.max(shown.bits_per_second);
    }

    fn lower_for_delay(&mut self, now: Instant) {
        let Some(came) = self.throughput.at_present() else { return };
        let over_since = *self.over_since.get_or_insert(now);
        if self.lowered.is_some_and(|at| now.saturating_duration_since(at) < BETWEEN) {
            return;
        }
        // While a large frame drains, what came is what was sent, and how fast the burst came is what the path carries. But
        // what lasts is no large frame.
        let lasts = now.saturating_duration_since(over_since) >= LARGE_FRAME;
        let burst = self.burst.filter(|(_, at)| !lasts && now.saturating_duration_since(*at) < FRESH);
        let carried = came.max(burst.map_or(0.0, |(rate, _)| rate));
        self.lower_to(BACK_OFF * carried, carried, now);
    }

    fn lower_for_loss(&mut self, part: f64, now: Instant) {
        let (Some(rate), Some(came)) = (self.rate, self.throughput.at_present()) else { return };
        let lowered = (rate.min(1.5 * came) * (1.0 - 0.5 * part)).max(BACK_OFF * came);
        self.lower_to(lowered, came, now);
    }

    /// Nothing waits, so sending less may not help at all; never below what the path would carry with the most usual loss.
    fn lower_slowly(&mut self, part: f64, came: f64, now: Instant) {
        let Some(rate) = self.rate else { return };
        self.lower_to((rate * (1.0 - 0.1 * part)).max(REPAIRED * came), came, now);
    }

    fn lower_to(&mut self, lowered: f64, carried: f64, now: Instant) {
        let lowered = lowered.max(LOWEST);
        let Some(rate) = self.rate.as_mut().filter(|rate| lowered < **rate) else { return };
        *rate = lowered;
        // Between key frames little comes, and what is aimed for is believed to pass.
        (self.limit, self.peak, self.probed) = (Some(carried.max(lowered)), carried, 0.0);
        self.lowered = Some(now);
    }

    fn raise(&mut self, (shown, probed): (f64, f64), came: f64, passed: Duration) {
        let Some(rate) = self.rate else { return };
        let most = MOST_AT_ONCE * rate;
        self.probed = self.probed.max((CAREFUL * probed).min(most));
        let ceiling = (2.0 * self.peak).max(self.probed);
        let near = self.limit.is_some_and(|limit| (0.8 * limit..1.2 * limit).contains(&rate));
        let gain = if near { GAIN_NEAR } else { GAIN };
        // Time alone leads beyond a known limit only where what is sent comes near it.
        let believed = self.limit.map_or(ceiling, |limit| limit.max(1.5 * came));
        let grown = (rate * gain.powf(passed.as_secs_f64().min(1.0))).min(believed);
        let got_through = (CAREFUL * shown.max(probed)).min(most);
        self.rate = Some(rate.max(grown.max(got_through).min(ceiling)));
        self.outgrow();
    }

    /// A limit that the path has left far behind is none any more.
    fn outgrow(&mut self) {
        if let (Some(limit), Some(rate)) = (self.limit, self.rate)
            && rate >= 2.0 * limit
        {
            self.limit = None;
        }
    }
}

/// Packets before there is an estimate.
const FIRST_PACKETS: u64 = 10;
/// So long the half second of which packets are counted is not full, and the estimate grows with it.
const FIRST: Duration = Duration::from_millis(500);
/// Lower than anything worth sending.
const LOWEST: f64 = 30_000.0;
/// Part of what the path carried that is aimed for after it was full.
const BACK_OFF: f64 = 0.85;
/// Part of what a cluster showed that is believed.
const CAREFUL: f64 = 0.9;
/// A cluster raises the estimate by this much at most: some paths hand on bursts faster than they carry a stream.
const MOST_AT_ONCE: f64 = 2.5;
/// Growth each second far from a known limit, and near it.
const GAIN: f64 = 1.5;
const GAIN_NEAR: f64 = 1.08;
/// What comes through of a stream and its repairs, times this, is the stream again.
const REPAIRED: f64 = 1.4;
/// What was seen so long ago says nothing about now.
const STALE: Duration = Duration::from_millis(1_500);
/// Growth with each receiver report.
const REPORT_GAIN: f64 = 1.08;
/// Between two steps down, to see what the first one did.
const BETWEEN: Duration = Duration::from_millis(200);
/// The queue of a large frame is gone by then.
const LARGE_FRAME: Duration = Duration::from_millis(400);
const FRESH: Duration = Duration::from_secs(1);
