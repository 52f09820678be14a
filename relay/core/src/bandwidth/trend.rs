//! Whether packets wait longer and longer on their way: a line through the delays of the first packets of bursts.
//!
//! A burst waits for itself; its first packet waits only for what was there before. So the delay of first packets rises when
//! more is sent than the path carries, and not because a frame is large.

use crate::bandwidth::queue::Queue;

/// What the delays say (draft-ietf-rmcat-gcc-02 section 5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Usage {
    /// They fall: a queue is being worked off.
    Under,
    /// They stay.
    Normal,
    /// They rise: more is sent than the path carries.
    Over,
}

/// Follows the delay of one path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trend {
    /// Send and arrival time of the first packet of the burst at hand, in microseconds.
    burst: Option<(u64, i64)>,
    /// Arrival in milliseconds since `zero`, and smoothed delay in milliseconds; a ring.
    samples: [(f64, f64); SAMPLES],
    len: usize,
    newest: usize,
    zero: i64,
    delay: f64,
    smoothed: f64,
    count: usize,
    threshold: f64,
    threshold_at: Option<i64>,
    /// Milliseconds for which the line has been too steep, and over how many bursts.
    over: Option<(f64, u32)>,
    slope_before: f64,
    usage: Usage,
    queue: Queue,
}

impl Trend {
    pub(super) fn new() -> Self {
        Self {
            burst: None,
            samples: [(0.0, 0.0); SAMPLES],
            len: 0,
            newest: 0,
            zero: 0,
            delay: 0.0,
            smoothed: 0.0,
            count: 0,
            threshold: FIRST_THRESHOLD,
            threshold_at: None,
            over: None,
            slope_before: 0.0,
            usage: Usage::Normal,
            queue: Queue::new(),
        }
    }

    /// What the delays say now.
    pub(super) fn usage(&self) -> Usage {
        self.usage
    }

    /// Packets wait on their way.
    pub(super) fn waits(&self) -> bool {
        self.queue.stands()
    }

    /// A packet came; in the order of sending, times in microseconds of either side's clock.
    pub(super) fn received(&mut self, sent: u64, arrival: i64) {
        let Some((burst_sent, burst_arrival)) = self.burst else {
            (self.burst, self.zero) = (Some((sent, arrival)), arrival);
            return;
        };
        if sent < burst_sent + BURST_MICROS {
            return;
        }
        self.burst = Some((sent, arrival));
        let (sent_delta, arrival_delta) = ((sent - burst_sent) as i64, arrival - burst_arrival);
        // After a pause, or when a clock was set, what was before says nothing about now.
        if sent_delta > LONGEST_GAP_MICROS || arrival_delta.abs() > 2 * LONGEST_GAP_MICROS {
            *self = Self { threshold: self.threshold, ..Self::new() };
            return;
        }
        self.sample(sent_delta as f64 / 1e3, arrival_delta as f64 / 1e3, arrival);
    }

    fn sample(&mut self, sent_delta: f64, arrival_delta: f64, arrival: i64) {
        self.count = (self.count + 1).min(MOST_COUNTED);
        self.delay += arrival_delta - sent_delta;
        self.smoothed += (1.0 - SMOOTHING) * (self.delay - self.smoothed);
        self.queue.took(self.delay, self.smoothed, arrival);
        self.newest = (self.newest + 1) % SAMPLES;
        self.samples[self.newest] = ((arrival - self.zero) as f64 / 1e3, self.smoothed);
        self.len = (self.len + 1).min(SAMPLES);
        if self.len < FEWEST {
            return;
        }
        let slope = self.slope().unwrap_or(self.slope_before);
        let weighed = self.count as f64 * slope * GAIN;
        self.judge(weighed, slope, sent_delta);
        self.slope_before = slope;
        self.adapt(weighed, arrival);
    }

    fn judge(&mut self, weighed: f64, slope: f64, sent_delta: f64) {
        if weighed > self.threshold {
            let (time, bursts) = self.over.get_or_insert((-sent_delta / 2.0, 0));
            *time += sent_delta;
            *bursts += 1;
            if *time > OVER_MILLIS && *bursts > 1 && slope >= self.slope_before {
                self.usage = Usage::Over;
            }
            return;
        }
        self.over = None;
        self.usage = if weighed < -self.threshold { Usage::Under } else { Usage::Normal };
    }

    /// Least squares over the samples.
    fn slope(&self) -> Option<f64> {
        let samples = (0..self.len).map(|back| self.samples[(self.newest + SAMPLES - back) % SAMPLES]);
        let (sum_x, sum_y) = samples.clone().fold((0.0, 0.0), |sum, (x, y)| (sum.0 + x, sum.1 + y));
        let (mean_x, mean_y) = (sum_x / self.len as f64, sum_y / self.len as f64);
        let (numerator, denominator) = samples.fold((0.0, 0.0), |sum, (x, y)| {
            (sum.0 + (x - mean_x) * (y - mean_y), sum.1 + (x - mean_x) * (x - mean_x))
        });
        (denominator > 0.0).then(|| numerator / denominator)
    }

    /// The threshold follows what is usual on the path, lest a flow beside ours that keeps a queue starve us.
    fn adapt(&mut self, weighed: f64, arrival: i64) {
        let passed = arrival - self.threshold_at.replace(arrival).unwrap_or(arrival);
        if weighed.abs() > self.threshold + MOST_ADAPTED {
            return;
        }
        let speed = if weighed.abs() < self.threshold { ADAPT_DOWN } else { ADAPT_UP };
        let passed = (passed as f64 / 1e3).clamp(0.0, 100.0);
        self.threshold += speed * (weighed.abs() - self.threshold) * passed;
        self.threshold = self.threshold.clamp(LOWEST_THRESHOLD, HIGHEST_THRESHOLD);
    }
}

/// Packets sent within this time are one burst.
const BURST_MICROS: u64 = 5_000;
const LONGEST_GAP_MICROS: i64 = 2_000_000;
const SAMPLES: usize = 20;
/// A slow path shows few bursts before its queue is full.
const FEWEST: usize = 5;
// What follows has the values of draft-ietf-rmcat-gcc-02 section 5 and of libwebrtc.
const SMOOTHING: f64 = 0.9;
const GAIN: f64 = 4.0;
const MOST_COUNTED: usize = 60;
const OVER_MILLIS: f64 = 10.0;
const FIRST_THRESHOLD: f64 = 12.5;
const LOWEST_THRESHOLD: f64 = 6.0;
const HIGHEST_THRESHOLD: f64 = 600.0;
const MOST_ADAPTED: f64 = 15.0;
const ADAPT_UP: f64 = 0.0087;
const ADAPT_DOWN: f64 = 0.039;

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of ten packets, 33 ms apart, each first packet delayed by what `delay` says of the frame's number.
    fn after(frames: u64, delay: impl Fn(u64) -> i64) -> Trend {
        let mut trend = Trend::new();
        for frame in 0..frames {
            for packet in 0..10 {
                let sent = frame * 33_000 + packet * 10;
                trend.received(sent, sent as i64 + 20_000 + delay(frame) + packet as i64 * 2_000);
            }
        }
        trend
    }

    #[test]
    fn a_burst_that_waits_for_itself_is_no_queue() {
        assert_eq!(after(200, |_| 0).usage(), Usage::Normal);
    }

    #[test]
    fn a_queue_that_grows_is_seen_within_a_second_and_one_that_stays_is_not() {
        assert_eq!(after(90, |frame| frame.saturating_sub(60) as i64 * 5_000).usage(), Usage::Over);
        assert_eq!(after(200, |frame| frame.min(60) as i64 * 5_000).usage(), Usage::Normal);
        assert_eq!(after(80, |frame| 400_000 - frame as i64 * 5_000).usage(), Usage::Under);
    }

    #[test]
    fn a_queue_that_stays_full_is_seen_until_it_is_the_way_of_the_path() {
        assert!(after(200, |frame| frame.min(60) as i64 * 5_000).waits());
        assert!(!after(1_000, |frame| frame.min(60) as i64 * 5_000).waits());
        assert!(!after(200, |frame| (frame * 7919 % 17) as i64 * 1_000).waits(), "16 ms of jitter");
    }

    #[test]
    fn clocks_that_drift_or_jump_are_no_queue() {
        assert_eq!(after(300, |frame| frame as i64 * 3).usage(), Usage::Normal, "90 us a second");
        assert_eq!(after(300, |frame| if frame > 150 { 3_600_000_000 } else { 0 }).usage(), Usage::Normal);
    }
}
