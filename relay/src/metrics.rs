//! The relay's metrics: one table of names, labels and help; the shards' counters are gathered at each scrape.
//!
//! Base units, labels from closed sets, never an id or an address.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::proto::{
    Bucket, Counter, Gauge as GaugeValue, Histogram as HistogramValue, LabelPair, Metric, MetricFamily,
    MetricType,
};
use prometheus::{Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, TextEncoder};

use crate::admission::Refusal;
use crate::shard::command::{Role, ShardHandle};
use crate::shard::counters::{
    Direction, DropReason, Event, FORWARD_LATENCY_BOUNDS, Gauge, JOIN_BOUNDS, PacketKind, Tally,
};
use crate::shard::end::EndReason;

/// What is counted at the door; the shards count the rest.
pub(crate) struct DoorCounters {
    refusals: IntCounterVec,
    joins: IntCounterVec,
    cuts: IntCounter,
    fanout: Histogram,
}

impl DoorCounters {
    pub(crate) fn new() -> Self {
        let vec = |name, help, labels: &[&str]| {
            IntCounterVec::new(Opts::new(name, help), labels).expect("the name and labels are valid")
        };
        let refusals =
            vec("relay_grant_refusals_total", "Joins refused by grant or limit, by reason.", &["reason"]);
        // A series that starts at zero can be alerted on; one that appears at its first refusal cannot.
        for reason in Refusal::LABELS {
            refusals.with_label_values(&[reason]);
        }
        let buckets = vec![1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];
        let fanout = HistogramOpts::new(
            "relay_fanout_viewers",
            "Viewers of the room, counted whenever a viewer joins it.",
        );
        Self {
            refusals,
            joins: vec(
                "relay_joins_total",
                "Requests to join, by role and outcome (ok, or the code of the problem).",
                &["role", "outcome"],
            ),
            cuts: IntCounter::new("relay_cuts_total", "Devices cut off through the ops port or by the host.")
                .expect("the name is valid"),
            fanout: Histogram::with_opts(fanout.buckets(buckets)).expect("the name and buckets are valid"),
        }
    }

    pub(crate) fn refused(&self, refusal: Refusal) {
        self.refusals.with_label_values(&[refusal.label()]).inc();
    }

    /// Counts a request to join; `outcome` is `ok` or the code of the problem.
    pub(crate) fn join(&self, role: Role, outcome: &'static str) {
        self.joins.with_label_values(&[role_label(role), outcome]).inc();
    }

    pub(crate) fn cut(&self) {
        self.cuts.inc();
    }

    /// Notes that a room has this many viewers after one more joined.
    pub(crate) fn viewer_joined(&self, viewers: usize) {
        self.fanout.observe(viewers as f64);
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let families =
            [self.refusals.collect(), self.joins.collect(), self.cuts.collect(), self.fanout.collect()];
        families.into_iter().flatten().collect()
    }
}

/// The text that a Prometheus server scrapes.
pub(crate) fn scrape(shards: &[ShardHandle], door: &DoorCounters, draining: bool) -> String {
    let mut total = Tally::default();
    for shard in shards {
        total.merge(&shard.counters().snapshot());
    }
    let mut families = of_shards(&total);
    families.extend(door.collect());
    families.push(gauge(
        "relay_draining",
        "1 while the relay takes nobody new.",
        vec![(vec![], f64::from(u8::from(draining)))],
    ));
    let version = vec![("version", env!("CARGO_PKG_VERSION"))];
    families.push(gauge("relay_build_info", "Always 1; the version is in the label.", vec![(version, 1.0)]));
    families.push(gauge("relay_shards", "Media threads.", vec![(vec![], shards.len() as f64)]));
    // The encoder refuses a family without a series: nobody has joined yet.
    families.retain(|family| !family.get_metric().is_empty());
    families.sort_by(|a, b| a.name().cmp(b.name()));
    let mut text = Vec::new();
    TextEncoder::new()
        .encode(&families, &mut text)
        .expect("every family has a name and a series, and a Vec takes all bytes");
    String::from_utf8(text).expect("the encoder writes text")
}

fn of_shards(tally: &Tally) -> Vec<MetricFamily> {
    let event = |event| vec![(vec![], tally.event(event))];
    let by_kind = |count: &dyn Fn(Direction, PacketKind) -> u64| {
        let pairs = Direction::ALL.into_iter().flat_map(|dir| PacketKind::ALL.map(|kind| (dir, kind)));
        let series = pairs.map(|(dir, kind)| {
            (vec![("dir", dir.label()), ("kind", kind.label()), WEBRTC], count(dir, kind))
        });
        series.collect::<Vec<_>>()
    };
    let ends = |reasons: &[(EndReason, &'static str)]| {
        let series =
            reasons.iter().map(|(reason, label)| (vec![("reason", *label)], tally.sessions_ended(*reason)));
        series.collect::<Vec<_>>()
    };
    let drops = DropReason::ALL.map(|reason| (vec![("reason", reason.label())], tally.dropped(reason)));
    let all_ends: Vec<_> = EndReason::ALL.into_iter().map(|reason| (reason, reason.label())).collect();
    let now = |gauge| tally.gauge(gauge) as f64;
    let roles = [(Role::Publish, Gauge::Publishers), (Role::View, Gauge::Viewers)];
    let sessions = roles.map(|(role, gauge)| (vec![("role", role_label(role)), WEBRTC], now(gauge)));
    vec![
        counter(
            "relay_packets_total",
            "Packets received and sent.",
            by_kind(&|dir, kind| tally.packets(dir, kind)),
        ),
        counter(
            "relay_bytes_total",
            "UDP payload bytes received and sent.",
            by_kind(&|dir, kind| tally.bytes(dir, kind)),
        ),
        counter("relay_packets_dropped_total", "Packets that went no further, by reason.", drops.into()),
        histogram(
            "relay_forward_latency_seconds",
            "Time from the kernel's receive stamp of a packet to the system call that sends it on.",
            &FORWARD_LATENCY_BOUNDS,
            tally.forward_latency(),
            tally.forward_latency_sum(),
        ),
        histogram(
            "relay_join_seconds",
            "Time from a viewer's join to its first forwarded packet.",
            &JOIN_BOUNDS,
            tally.join_time(),
            tally.join_time_sum(),
        ),
        gauge("relay_rooms", "Rooms with a publisher.", vec![(vec![], now(Gauge::Rooms))]),
        gauge("relay_viewers", "Viewing sessions.", vec![(vec![WEBRTC], now(Gauge::Viewers))]),
        gauge("relay_sessions", "Sessions, by role.", sessions.into()),
        counter("relay_sessions_opened_total", "Sessions taken in.", event(Event::SessionOpened)),
        counter("relay_session_end_total", "Sessions ended, by reason.", ends(&all_ends)),
        counter("relay_nack_total", "Packets that viewers asked for again.", event(Event::NackedPackets)),
        counter("relay_upstream_nack_total", "NACKs sent to publishers.", event(Event::NackOut)),
        counter("relay_rtx_packets_total", "Packets sent again.", event(Event::RtxPackets)),
        counter("relay_rtx_bytes_total", "Payload bytes sent again.", event(Event::RtxBytes)),
        counter(
            "relay_pli_total",
            "Key frame requests: from viewers (in), merged to publishers (out).",
            vec![
                (vec![("dir", "in")], tally.event(Event::PliIn)),
                (vec![("dir", "out")], tally.event(Event::PliOut)),
            ],
        ),
        counter(
            "relay_ice_failures_total",
            "Sessions ended because no authenticated check came, or none any more.",
            ends(&[(EndReason::IceFailed, "no_check"), (EndReason::ConsentExpired, "consent_expired")]),
        ),
        counter(
            "relay_dtls_failures_total",
            "Sessions ended by DTLS.",
            ends(&[(EndReason::DtlsFailed, "handshake"), (EndReason::FingerprintMismatch, "fingerprint")]),
        ),
        counter("relay_dtls_handshakes_total", "DTLS handshakes completed.", event(Event::DtlsConnected)),
        counter(
            "relay_socket_recv_drops_total",
            "Datagrams that the kernel dropped because a receive buffer was full.",
            event(Event::SocketReceiveDrops),
        ),
        counter(
            "relay_handed_over_total",
            "Datagrams that reached another shard's socket and were handed over.",
            event(Event::HandedOver),
        ),
        counter("relay_send_calls_total", "System calls that sent datagrams.", event(Event::SendCalls)),
        counter(
            "relay_send_trains_total",
            "Trains of equal datagrams (GSO) handed to the kernel.",
            event(Event::Trains),
        ),
    ]
}

type Labels = Vec<(&'static str, &'static str)>;

fn counter(name: &str, help: &str, series: Vec<(Labels, u64)>) -> MetricFamily {
    let metric = |(labels, value): (Labels, u64)| {
        let mut counter = Counter::default();
        counter.set_value(value as f64);
        let mut metric = labelled(labels);
        metric.set_counter(counter);
        metric
    };
    family(name, help, MetricType::COUNTER, series.into_iter().map(metric).collect())
}

fn gauge(name: &str, help: &str, series: Vec<(Labels, f64)>) -> MetricFamily {
    let metric = |(labels, value): (Labels, f64)| {
        let mut gauge = GaugeValue::default();
        gauge.set_value(value);
        let mut metric = labelled(labels);
        metric.set_gauge(gauge);
        metric
    };
    family(name, help, MetricType::GAUGE, series.into_iter().map(metric).collect())
}

/// `cells` holds one count for each bound and one for what is above, none of them cumulative.
fn histogram(name: &str, help: &str, bounds: &[Duration], cells: &[u64], sum: Duration) -> MetricFamily {
    let mut seen = 0;
    let buckets = bounds.iter().zip(cells).map(|(bound, count)| {
        seen += count;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(bound.as_secs_f64());
        bucket.set_cumulative_count(seen);
        bucket
    });
    let mut value = HistogramValue::default();
    value.set_bucket(buckets.collect());
    value.set_sample_count(cells.iter().sum());
    value.set_sample_sum(sum.as_secs_f64());
    let mut metric = labelled(vec![WEBRTC]);
    metric.set_histogram(value);
    family(name, help, MetricType::HISTOGRAM, vec![metric])
}

fn family(name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn labelled(labels: Labels) -> Metric {
    let pair = |(name, value): (&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    };
    Metric::from_label(labels.into_iter().map(pair).collect())
}

fn role_label(role: Role) -> &'static str {
    match role {
        Role::Publish => "publish",
        Role::View => "view",
    }
}

/// The one transport that there is so far.
const WEBRTC: (&str, &str) = ("transport", "webrtc");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_has_help_type_and_a_proper_name() {
        let text = scrape(&[], &DoorCounters::new(), true);
        let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        assert!(names.len() > 20, "{names:?}");
        for line in names {
            let (name, kind) = line.split_once(' ').unwrap();
            assert!(name.starts_with("relay_"), "{name}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
            assert!(text.contains(&format!("# HELP {name} ")), "{name}");
        }
        assert!(text.contains("relay_draining 1\n"));
    }

    #[test]
    fn buckets_are_cumulative_and_end_with_everything() {
        let bounds = [Duration::from_millis(1), Duration::from_millis(2)];
        let family = histogram("relay_x_seconds", "x", &bounds, &[3, 0, 4], Duration::from_millis(50));
        let mut text = Vec::new();
        TextEncoder::new().encode(&[family], &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        for line in [
            "relay_x_seconds_bucket{transport=\"webrtc\",le=\"0.001\"} 3",
            "relay_x_seconds_bucket{transport=\"webrtc\",le=\"0.002\"} 3",
            "relay_x_seconds_bucket{transport=\"webrtc\",le=\"+Inf\"} 7",
            "relay_x_seconds_sum{transport=\"webrtc\"} 0.05",
            "relay_x_seconds_count{transport=\"webrtc\"} 7",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
