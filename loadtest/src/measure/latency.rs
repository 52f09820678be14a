//! Latencies in microseconds: recorded in an HDR histogram, told as percentiles and a coarse distribution.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// A histogram of microseconds, 1 us to 60 s, three digits exact. Empty ones cost nothing to add.
#[derive(Clone, Debug)]
pub struct Latency(Histogram<u64>);

/// What is told of a [`Latency`]. All in milliseconds; zeros where nothing was recorded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatencyFigures {
    /// How many were recorded.
    pub count: u64,
    /// Mean.
    pub mean_ms: f64,
    /// Half of them took at most so long.
    pub p50_ms: f64,
    /// 90 %.
    pub p90_ms: f64,
    /// 95 %.
    pub p95_ms: f64,
    /// 99 %.
    pub p99_ms: f64,
    /// 99.9 %.
    pub p999_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// Upper end in milliseconds and count of each filled bucket, ascending; eight buckets to a doubling.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<(f64, u64)>,
}

impl Default for Latency {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, 60_000_000, 3).expect("the bounds are in order"))
    }
}

impl Latency {
    /// Records one; what lies outside the bounds counts as the bound.
    pub fn record(&mut self, microseconds: u64) {
        self.0.saturating_record(microseconds.max(1));
    }

    /// Adds what was recorded elsewhere.
    pub fn add(&mut self, more: &Self) {
        if !more.0.is_empty() {
            self.0.add(&more.0).expect("all have the same bounds");
        }
    }

    /// Returns how many were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Returns the value below which `quantile` (0 to 1) of them lie, milliseconds; 0 where nothing was recorded.
    #[must_use]
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1000.0
    }

    /// Returns what is told of it; the distribution only where `with_buckets`.
    #[must_use]
    pub fn figures(&self, with_buckets: bool) -> LatencyFigures {
        if self.0.is_empty() {
            return LatencyFigures::default();
        }
        LatencyFigures {
            count: self.0.len(),
            mean_ms: self.0.mean() / 1000.0,
            p50_ms: self.quantile_ms(0.5),
            p90_ms: self.quantile_ms(0.9),
            p95_ms: self.quantile_ms(0.95),
            p99_ms: self.quantile_ms(0.99),
            p999_ms: self.quantile_ms(0.999),
            max_ms: self.0.max() as f64 / 1000.0,
            buckets: if with_buckets { self.buckets() } else { Vec::new() },
        }
    }

    fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds =
            (0..).map(|step: i32| 2f64.powf(f64::from(step) / 8.0)).take_while(|bound| *bound < 6.1e7);
        let mut bounds = bounds.peekable();
        let mut buckets: Vec<(f64, u64)> = Vec::new();
        for value in self.0.iter_recorded() {
            let at = value.value_iterated_to() as f64;
            while bounds.peek().is_some_and(|bound| *bound < at) {
                bounds.next();
            }
            let upper = bounds.peek().copied().unwrap_or(at) / 1000.0;
            match buckets.last_mut().filter(|(last, _)| *last >= upper) {
                Some((_, count)) => *count += value.count_since_last_iteration(),
                None => buckets.push((upper, value.count_since_last_iteration())),
            }
        }
        buckets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_in_milliseconds_and_buckets_hold_everything() {
        let mut latency = Latency::default();
        (1..=1000).for_each(|i| latency.record(i * 100));
        let figures = latency.figures(true);
        assert_eq!(figures.count, 1000);
        assert!((figures.p50_ms - 50.0).abs() < 0.1 && (figures.p99_ms - 99.0).abs() < 0.2, "{figures:?}");
        assert_eq!(figures.buckets.iter().map(|(_, count)| count).sum::<u64>(), 1000);
        assert!(figures.buckets.windows(2).all(|pair| pair[0].0 < pair[1].0), "{:?}", figures.buckets);
        assert!(figures.buckets.last().unwrap().0 >= 100.0);
    }

    #[test]
    fn nothing_recorded_is_told_as_zeros() {
        let mut latency = Latency::default();
        latency.add(&Latency::default());
        assert_eq!(latency.figures(true), LatencyFigures::default());
    }
}
