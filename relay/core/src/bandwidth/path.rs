//! One viewer's transport as the relay sees it: numbers its packets, reads what came of them, says what may go out.

use std::time::{Duration, Instant};

use latchkey_wire::rtcp::{TICK_MICROS, TICKS_PER_REFERENCE, TransportFeedback};

use crate::bandwidth::Estimate;
use crate::bandwidth::cluster::Packet;
use crate::bandwidth::estimator::Estimator;
use crate::bandwidth::sent::Sent;
use crate::pacer::Pacer;

/// The path to one viewer, all its legs together.
#[derive(Debug)]
pub struct Path {
    started: Instant,
    /// With transport-wide feedback: what was sent lately.
    sent: Option<Sent>,
    /// The next packet carries a number.
    numbered: bool,
    estimator: Estimator,
    pacer: Option<Pacer>,
    /// Something waits for the pacer since the last begin, and since the last look at the estimate.
    held: bool,
    backlog: bool,
    /// See [`set_starving`](Self::set_starving).
    starving: bool,
    /// The receiver's reference time as it came last, and without wraps.
    reference: Option<(u32, i64)>,
    told: Option<Estimate>,
    /// When the last packet went out.
    sent_at: Instant,
    meter: Meter,
    probes: Probes,
}

/// How much is sent, looked at now and then.
#[derive(Clone, Copy, Debug)]
struct Meter {
    bytes: u64,
    marked: (Instant, u64),
    bits_per_second: f64,
}

/// When to try whether more gets through.
#[derive(Clone, Copy, Debug)]
struct Probes {
    next: Instant,
    wait: Duration,
    /// The estimate when the last one went out.
    before: f64,
}

impl Path {
    /// A path about which nothing is known. `feedback`: the viewer sends transport-wide feedback.
    pub fn new(feedback: bool, now: Instant) -> Self {
        Self {
            started: now,
            sent: feedback.then(Sent::new),
            numbered: false,
            estimator: Estimator::new(),
            pacer: None,
            held: false,
            backlog: false,
            starving: false,
            reference: None,
            told: None,
            sent_at: now,
            meter: Meter { bytes: 0, marked: (now, 0), bits_per_second: 0.0 },
            probes: Probes { next: now + PROBE_FIRST, wait: PROBE_FIRST, before: 0.0 },
        }
    }

    /// One more leg, with or without transport-wide numbers.
    pub(crate) fn add_leg(&mut self, feedback: bool) {
        if feedback && self.sent.is_none() {
            self.sent = Some(Sent::new());
        }
    }

    /// A train for the viewer begins.
    #[inline]
    pub fn begin(&mut self, now: Instant) {
        if let Some(pacer) = &mut self.pacer {
            pacer.fill(now);
        }
        self.held = false;
    }

    /// Whether the next media packet may go now; if not, it is tried again in a while.
    #[inline]
    pub fn may_send(&mut self) -> bool {
        let Some(pacer) = &self.pacer else { return true };
        let may = pacer.may_send();
        if !may {
            (self.held, self.backlog) = (true, true);
        }
        may
    }

    /// Media goes out spread, not in one train.
    #[inline]
    pub fn is_paced(&self) -> bool {
        self.pacer.is_some()
    }

    /// Something waits since the last [`begin`](Self::begin).
    #[inline]
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// The transport-wide number of the packet that goes out next, for legs that carry one. One call for each
    /// [`sent`](Self::sent) packet.
    #[inline]
    pub fn number(&mut self) -> Option<u16> {
        let number = self.sent.as_ref()?.next() as u16;
        self.numbered = true;
        Some(number)
    }

    /// A packet of so many bytes goes out.
    #[inline]
    pub fn sent(&mut self, bytes: usize, now: Instant) {
        self.meter.bytes += bytes as u64;
        self.sent_at = now;
        if let Some(sent) = self.sent.as_mut().filter(|_| std::mem::take(&mut self.numbered)) {
            sent.push(now.saturating_duration_since(self.started).as_micros() as u64, bytes);
        }
        if let Some(pacer) = &mut self.pacer {
            pacer.sent(bytes);
        }
    }

    /// Takes in transport-wide feedback. Returns the estimate when it is worth telling.
    pub fn feedback(&mut self, feedback: &TransportFeedback<'_>, now: Instant) -> Option<Estimate> {
        let clock = now.saturating_duration_since(self.started).as_micros() as u64;
        let reference = self.unwrapped(feedback.reference_time());
        let sent = self.sent.as_mut()?;
        for status in feedback.packets().take(MOST_STATUSES) {
            match status.arrival {
                Some(arrival) => {
                    if let Some(packet) = sent.received(status.sequence, clock) {
                        let ticks = reference * TICKS_PER_REFERENCE + i64::from(arrival);
                        let (number, sent, len) = (packet.number, packet.at, packet.len);
                        let came = Packet { number, sent, arrival: ticks * TICK_MICROS, len };
                        if packet.was_lost {
                            self.estimator.came_late(came);
                        } else {
                            self.estimator.received(came);
                        }
                    }
                }
                None => {
                    if sent.lost(status.sequence, clock).is_some() {
                        self.estimator.lost();
                    }
                }
            }
        }
        self.meter.mark(now);
        if !self.estimator.update(now) {
            return None;
        }
        self.look(now)
    }

    /// Takes in a block of a receiver report: this part of the packets was lost, in 1/256. Counts only without transport-wide
    /// feedback. Returns the estimate when it is worth telling.
    pub fn reception(&mut self, fraction_lost: u8, now: Instant) -> Option<Estimate> {
        if self.sent.is_some() || !self.meter.mark(now) {
            return None;
        }
        let part = f64::from(fraction_lost) / 256.0;
        self.estimator.reception(part, self.meter.bits_per_second, now);
        self.look(now)
    }

    /// Takes in what the receiver believes it can take (REMB). Counts only without transport-wide feedback.
    pub fn most(&mut self, bits_per_second: u64, now: Instant) -> Option<Estimate> {
        if self.sent.is_some() {
            return None;
        }
        self.estimator.most(bits_per_second, now);
        self.look(now)
    }

    /// The present estimate; `None` before the first feedback.
    pub fn estimate(&self) -> Option<Estimate> {
        self.estimator.estimate()
    }

    /// Whether it is time to see if more gets through, when legs would like `wanted` bits per second.
    pub fn wants_probe(&self, wanted: u64, now: Instant) -> bool {
        let (Some(_), Some((rate, _))) = (&self.sent, self.estimator.rate()) else { return false };
        let wants_more = self.backlog || wanted as f64 > rate;
        let settled =
            self.estimator.lowered().is_none_or(|at| now.saturating_duration_since(at) >= PROBE_AFTER_LOSS);
        wants_more
            && settled
            && now >= self.probes.next
            && self.estimator.is_clear(now)
            && !self.must_not_disturb(now)
    }

    /// The viewer gets key frames only: of the time in between more may be spent on looking for more.
    pub fn set_starving(&mut self, starving: bool) {
        self.starving = starving;
        if let Some((rate, _)) = self.estimator.rate().filter(|_| starving) {
            let wait = (PROBE_BITS / (PROBE_PART * rate)).min(PROBE_LONGEST.as_secs_f64());
            let wait = Duration::from_secs_f64(wait).max(PROBE_HURRIED);
            if let Some(longer) = self.probes.wait.checked_sub(wait) {
                self.probes.wait -= longer;
                self.probes.next -= longer;
            }
        }
    }

    /// The viewer gets key frames only, and has heard nothing for so long that it might take the relay for dead.
    pub(crate) fn wants_sign_of_life(&self, now: Instant) -> bool {
        self.starving && now.saturating_duration_since(self.sent_at) >= SIGN_OF_LIFE
    }

    /// A key frame is on its way, and a probe might push a part of it out of a full queue.
    fn must_not_disturb(&self, now: Instant) -> bool {
        let is_busy = now.saturating_duration_since(self.sent_at) < PROBE_QUIET;
        self.starving && (self.backlog || is_busy)
    }

    /// The next twelve packets go at once to see whether they get through. What waits goes first: true when there is
    /// enough of it; otherwise the caller sends old packets again.
    pub fn begin_probe(&mut self, now: Instant) -> bool {
        let (Some(sent), Some((rate, _))) = (&self.sent, self.estimator.rate()) else { return false };
        self.estimator.probing(sent.next(), sent.next() + PROBE_PACKETS as u64);
        let grew = rate >= PROBE_SUCCESS * self.probes.before;
        self.probes.wait = if grew { PROBE_AGAIN } else { (2 * self.probes.wait).min(PROBE_LONGEST) };
        (self.probes.before, self.probes.next) = (rate, now + self.probes.wait);
        match &mut self.pacer {
            Some(pacer) if self.backlog => {
                pacer.credit((PROBE_PACKETS * PROBE_PACKET_LEN) as f64);
                true
            }
            _ => false,
        }
    }

    /// Paces or not, and says whether the estimate is worth telling.
    fn look(&mut self, now: Instant) -> Option<Estimate> {
        let (rate, limited) = self.estimator.rate()?;
        let backlog = std::mem::take(&mut self.backlog) | self.held;
        self.backlog = self.held;
        let tight = self.starving || backlog || rate < AMPLE * self.meter.bits_per_second;
        self.pacer = match self.pacer {
            _ if !limited || !tight => None,
            Some(mut pacer) => {
                pacer.set_rate(rate);
                Some(pacer)
            }
            None => Some(Pacer::new(rate, now)),
        };
        let estimate = self.estimator.estimate()?;
        let news = self.told.is_none_or(|told| {
            let change = estimate.bits_per_second.abs_diff(told.bits_per_second);
            change * 20 >= told.bits_per_second
                || estimate.limited_by_source != told.limited_by_source
                || now.saturating_duration_since(told.at) >= TOLD_AGAIN
        });
        news.then(|| *self.told.insert(estimate))
    }

    /// Reference times wrap after 12 days.
    fn unwrapped(&mut self, reference: u32) -> i64 {
        let (last, long) = self.reference.unwrap_or((reference, i64::from(reference)));
        // 24 bits, with sign.
        let step = (reference.wrapping_sub(last) << 8) as i32 >> 8;
        let long = long + i64::from(step);
        self.reference = Some((reference, long));
        long
    }
}

impl Meter {
    /// Works out the rate when enough time has passed; whether it did.
    fn mark(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.marked.0);
        if passed < METER {
            return false;
        }
        self.bits_per_second = (self.bytes - self.marked.1) as f64 * 8.0 / passed.as_secs_f64();
        self.marked = (now, self.bytes);
        true
    }
}

/// A few bytes may speak of 65535 lost packets.
const MOST_STATUSES: usize = 4 * Sent::CAPACITY;
/// A path that carries so many times what is sent gets it in trains.
const AMPLE: f64 = 2.0;
const METER: Duration = Duration::from_millis(500);
const TOLD_AGAIN: Duration = Duration::from_secs(1);

/// Packets of a probe.
pub(crate) const PROBE_PACKETS: usize = 12;
const PROBE_PACKET_LEN: usize = 1_100;
const PROBE_BITS: f64 = (8 * PROBE_PACKETS * PROBE_PACKET_LEN) as f64;
/// Part of the path that probes may take while nothing else fits.
const PROBE_PART: f64 = 0.15;
const PROBE_HURRIED: Duration = Duration::from_millis(1_500);
/// Viewers wait for a second; two of these may be lost.
const SIGN_OF_LIFE: Duration = Duration::from_millis(280);
/// The queue of what was sent before is gone by then.
const PROBE_QUIET: Duration = Duration::from_millis(250);
const PROBE_FIRST: Duration = Duration::from_secs(1);
/// After one that showed more.
const PROBE_AGAIN: Duration = Duration::from_millis(500);
const PROBE_LONGEST: Duration = Duration::from_secs(20);
const PROBE_AFTER_LOSS: Duration = Duration::from_millis(1_500);
const PROBE_SUCCESS: f64 = 1.2;
