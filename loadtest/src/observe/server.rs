//! A server under load, watched from outside: its `/metrics`, and its process where it runs on this machine.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use url::Url;

use crate::measure::line::ServerFigures;
use crate::observe::metrics::{Metrics, quantile_between};
use crate::observe::process::{self, ProcessUse};

/// The longest that a look at `/metrics` may take: a server that is too busy for it is told by its process only.
const PATIENCE: Duration = Duration::from_secs(2);
/// The relay's own forward latency.
const FORWARD_LATENCY: &str = "relay_forward_latency_seconds";

/// Watches one server. Cheap: a look is one request and a few files of `/proc`.
pub struct ServerWatch {
    metrics_url: Option<Url>,
    pid: Option<u32>,
    http: reqwest::Client,
    /// Resident memory at the first look or the last [`ServerWatch::rebase`], kilobytes; 0 before it.
    base_rss_kb: AtomicU64,
}

/// What a server had used and counted at one moment.
#[derive(Clone, Debug)]
pub struct Sample {
    at: Instant,
    base_rss_kb: u64,
    process: Option<ProcessUse>,
    metrics: Option<Metrics>,
}

impl ServerWatch {
    /// Watches the server with this private ops port (its base URL) and this process; either may be unknown.
    #[must_use]
    pub fn new(ops_url: Option<Url>, pid: Option<u32>) -> Self {
        let metrics_url = ops_url.map(|mut url| {
            if !url.path().ends_with("/metrics") {
                url.set_path(&format!("{}/metrics", url.path().trim_end_matches('/')));
            }
            url
        });
        Self { metrics_url, pid, http: reqwest::Client::new(), base_rss_kb: AtomicU64::new(0) }
    }

    /// Looks now. The first look, before any viewer is there, is what memory's growth is measured from.
    pub async fn sample(&self) -> Sample {
        let metrics = self.metrics().await;
        // Both halves belong to one moment: the process is looked at when the metrics are there.
        let (at, process) = (Instant::now(), self.pid.and_then(process::look_at));
        let rss = process.map_or(0, |process| process.rss_kb);
        let first = self.base_rss_kb.compare_exchange(0, rss, Ordering::Relaxed, Ordering::Relaxed);
        Sample { at, base_rss_kb: first.map_or_else(|known| known, |_| rss), process, metrics }
    }

    /// Measures memory's growth from the next look on: the viewers so far are gone.
    pub fn rebase(&self) {
        self.base_rss_kb.store(0, Ordering::Relaxed);
    }

    async fn metrics(&self) -> Option<Metrics> {
        let url = self.metrics_url.clone()?;
        let reply = self.http.get(url).timeout(PATIENCE).send().await.ok()?.error_for_status().ok()?;
        Some(Metrics::read(&reply.text().await.ok()?))
    }
}

impl Sample {
    /// Returns whether the server's metrics were there.
    #[must_use]
    pub fn has_metrics(&self) -> bool {
        self.metrics.is_some()
    }

    /// Returns whether the server's process was there.
    #[must_use]
    pub fn has_process(&self) -> bool {
        self.process.is_some()
    }

    /// Returns what the server used and did since an earlier look, with so many viewers there now; none when neither
    /// process nor metrics were to be seen at both looks. What is not known is zero.
    #[must_use]
    pub fn since(&self, earlier: &Self, viewers: u64) -> Option<ServerFigures> {
        let process = self.process.zip(earlier.process);
        let metrics = self.metrics.as_ref().zip(earlier.metrics.as_ref());
        if process.is_none() && metrics.is_none() {
            return None;
        }
        let seconds = self.at.saturating_duration_since(earlier.at).as_secs_f64().max(1e-6);
        let mut figures = ServerFigures::default();
        let mut bytes_out = 0;
        if let Some((now, before)) = metrics {
            bytes_out = fill_from_metrics(&mut figures, now, before);
        }
        if let Some((now, before)) = process {
            let cpu = now.cpu.saturating_sub(before.cpu).as_secs_f64();
            let (user, sys) = (now.user.saturating_sub(before.user), now.sys.saturating_sub(before.sys));
            let user_share = user.as_secs_f64() / (user + sys).as_secs_f64().max(1e-9);
            figures.cpu_pct = 100.0 * cpu / seconds;
            // The ticks tell how it is shared, the clock how much it is.
            figures.user_pct = figures.cpu_pct * user_share;
            figures.sys_pct = if (user + sys).is_zero() { 0.0 } else { figures.cpu_pct - figures.user_pct };
            figures.switches_per_s = now.switches.saturating_sub(before.switches) as f64 / seconds;
            (figures.rss_kb, figures.threads, figures.files) = (now.rss_kb, now.threads, now.files);
            if viewers > 0 {
                figures.kb_per_viewer = (now.rss_kb as f64 - self.base_rss_kb as f64) / viewers as f64;
            }
            tell_per_packet(&mut figures, cpu, bytes_out);
        }
        Some(figures)
    }
}

/// Tells what a server's packets cost where only the receivers counted them: for one that has no metrics of ours.
pub fn count_by_viewers(figures: &mut ServerFigures, seconds: f64, packets_out: u64, bytes_out: u64) {
    figures.packets_out = packets_out;
    tell_per_packet(figures, figures.cpu_pct / 100.0 * seconds, bytes_out);
}

fn tell_per_packet(figures: &mut ServerFigures, cpu_seconds: f64, bytes_out: u64) {
    if figures.packets_out > 0 {
        figures.us_per_packet = cpu_seconds * 1e6 / figures.packets_out as f64;
    }
    if cpu_seconds > 0.0 {
        figures.mbit_per_core = bytes_out as f64 * 8e-6 / cpu_seconds;
    }
}

/// Returns the bytes of media sent.
fn fill_from_metrics(figures: &mut ServerFigures, now: &Metrics, before: &Metrics) -> u64 {
    // A server that was started anew counts from zero: what it counted since is what there is.
    let grown = |name: &str, labels: &[(&str, &str)]| {
        let (now, before) = (now.sum(name, labels), before.sum(name, labels));
        now.checked_sub(before).unwrap_or(now)
    };
    let media = |name: &str, dir| grown(name, &[("dir", dir), ("kind", "video"), ("kind", "audio")]);
    figures.packets_in = media("relay_packets_total", "in");
    figures.packets_out = media("relay_packets_total", "out");
    figures.nacks = grown("relay_nack_total", &[]);
    figures.rtx = grown("relay_rtx_packets_total", &[]);
    figures.plis = grown("relay_pli_total", &[("dir", "out")]);
    figures.socket_drops = grown("relay_socket_recv_drops_total", &[]);
    let dropped = |reason: String| {
        let count = grown("relay_packets_dropped_total", &[("reason", &reason)]);
        (count > 0).then_some((reason, count))
    };
    figures.drops = now.by("relay_packets_dropped_total", "reason").into_keys().filter_map(dropped).collect();
    let (earlier, later) = (before.buckets(FORWARD_LATENCY), now.buckets(FORWARD_LATENCY));
    figures.forward_p50_ms = 1000.0 * quantile_between(&earlier, &later, 0.5);
    figures.forward_p99_ms = 1000.0 * quantile_between(&earlier, &later, 0.99);
    media("relay_bytes_total", "out")
}

#[cfg(test)]
mod tests;
