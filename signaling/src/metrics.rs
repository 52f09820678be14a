//! What the server counts: names, labels and buckets in one place; no label ever holds an id or an address.

use std::time::Duration;

use prometheus::{
    Encoder as _, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

/// The metrics of one server.
#[derive(Clone)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    seconds: HistogramVec,
    rate_limited: IntCounterVec,
    commits: IntCounterVec,
    sign_ins: IntCounterVec,
    sockets: IntGauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            IntCounterVec::new(Opts::new(name, help), labels).expect("names and labels are constants")
        };
        let metrics = Self {
            registry: Registry::new(),
            requests: counter("signal_requests_total", "Requests answered.", &["route", "code"]),
            seconds: HistogramVec::new(
                HistogramOpts::new("signal_request_seconds", "Time from request to answer.")
                    .buckets(BUCKETS.to_vec()),
                &["route"],
            )
            .expect("names and labels are constants"),
            rate_limited: counter("signal_rate_limited_total", "Requests refused as too many.", &["limit"]),
            commits: counter("mls_commits_total", "MLS commits posted.", &["outcome"]),
            sign_ins: counter(
                "auth_attempts_total",
                "Answers to sign-in challenges.",
                &["method", "outcome"],
            ),
            sockets: IntGauge::new("signal_ws_connections", "Event sockets open.")
                .expect("names and labels are constants"),
        };
        let all: [Box<dyn prometheus::core::Collector>; 6] = [
            Box::new(metrics.requests.clone()),
            Box::new(metrics.seconds.clone()),
            Box::new(metrics.rate_limited.clone()),
            Box::new(metrics.commits.clone()),
            Box::new(metrics.sign_ins.clone()),
            Box::new(metrics.sockets.clone()),
        ];
        for collector in all {
            metrics.registry.register(collector).expect("each name is registered once");
        }
        metrics
    }

    /// One request to this route template was answered.
    pub(crate) fn answered(&self, route: &str, status: u16, took: Duration) {
        self.requests.with_label_values(&[route, &status.to_string()]).inc();
        self.seconds.with_label_values(&[route]).observe(took.as_secs_f64());
    }

    /// A request was refused by this limit (`address`, `open`, `household`, `device`, `message`, `export` or `probe`).
    pub(crate) fn rate_limited(&self, limit: &'static str) {
        self.rate_limited.with_label_values(&[limit]).inc();
    }

    /// A commit was `accepted`, `stale_epoch` or `rejected`.
    pub(crate) fn commit(&self, outcome: &'static str) {
        self.commits.with_label_values(&[outcome]).inc();
    }

    /// A challenge was answered, well or not.
    pub(crate) fn sign_in(&self, good: bool) {
        self.sign_ins.with_label_values(&["signature", if good { "ok" } else { "failed" }]).inc();
    }

    /// All of them in the Prometheus text format, with `sockets` open event sockets.
    pub(crate) fn text(&self, sockets: usize) -> Vec<u8> {
        self.sockets.set(i64::try_from(sockets).unwrap_or(i64::MAX));
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics cannot be written");
        }
        text
    }
}

const BUCKETS: &[f64] = &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_metric_appears_with_help() {
        let metrics = Metrics::new();
        metrics.answered("/v1/lists", 200, Duration::from_millis(3));
        metrics.rate_limited("open");
        metrics.commit("accepted");
        metrics.sign_in(false);
        let text = String::from_utf8(metrics.text(2)).unwrap();
        for line in [
            "signal_requests_total{code=\"200\",route=\"/v1/lists\"} 1",
            "signal_rate_limited_total{limit=\"open\"} 1",
            "mls_commits_total{outcome=\"accepted\"} 1",
            "auth_attempts_total{method=\"signature\",outcome=\"failed\"} 1",
            "signal_ws_connections 2",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        assert_eq!(text.matches("# HELP").count(), 6);
    }
}
