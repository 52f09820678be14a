//! The relay's metrics: one table of names, labels and help; the shards' counters are gathered at each scrape.
//!
//! Base units, labels from closed sets, never an id or an address.

mod family;

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, TextEncoder,
};

use latchkey_relay_core::bandwidth::ESTIMATE_BOUNDS;

use crate::admission::Refusal;
use crate::metrics::family::{counter, counter_of, gauge, histogram, histogram_of, labelled};
use crate::shard::command::handle::ShardHandle;
use crate::shard::command::join::Role;
use crate::shard::counters::Tally;
use crate::shard::counters::buckets::{FORWARD_LATENCY_BOUNDS, JOIN_BOUNDS};
use crate::shard::counters::events::{Event, Gauge};
use crate::shard::counters::packets::{Direction, DropReason, Limited, PacketKind};
use crate::shard::end::EndReason;

/// What is counted at the door; the shards count the rest.
pub(crate) struct DoorCounters {
    refusals: IntCounterVec,
    joins: IntCounterVec,
    cuts: IntCounter,
    fanout: Histogram,
    first_frames: HistogramVec,
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
        let first_frames = HistogramOpts::new(
            "relay_first_frame_seconds",
            "Time from a viewer's join to its first opened frame, as the viewer reports it.",
        );
        let bounds = JOIN_BOUNDS.iter().map(Duration::as_secs_f64).collect();
        let first_frames = HistogramVec::new(first_frames.buckets(bounds), &[WEBRTC.0])
            .expect("the name and buckets are valid");
        first_frames.with_label_values(&[WEBRTC.1]);
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
            first_frames,
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

    /// A viewer says that it opened its first frame so long after it asked to join.
    pub(crate) fn first_frame(&self, after: Duration) {
        self.first_frames.with_label_values(&[WEBRTC.1]).observe(after.as_secs_f64());
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let families = [
            self.refusals.collect(),
            self.joins.collect(),
            self.cuts.collect(),
            self.fanout.collect(),
            self.first_frames.collect(),
        ];
        families.into_iter().flatten().collect()
    }
}

/// What the relay as a whole is at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    /// It takes nobody new.
    pub(crate) draining: bool,
    /// Sessions and rooms as shares of their limits, whichever is larger.
    pub(crate) crowded: f64,
}

/// The text that a Prometheus server scrapes.
pub(crate) fn scrape(shards: &[ShardHandle], door: &DoorCounters, standing: Standing) -> String {
    let tallies: Vec<_> = shards.iter().map(|shard| shard.counters().snapshot()).collect();
    let mut total = Tally::default();
    tallies.iter().for_each(|tally| total.merge(tally));
    let mut families = of_shards(&total);
    families.extend(door.collect());
    let busiest = tallies.iter().map(|tally| tally.gauge(Gauge::LoadPerMille)).max().unwrap_or(0);
    families.push(gauge(
        "relay_load_ratio",
        "How near the relay is to its limit, 0 to 1: the busiest shard's processor, or sessions or rooms against their limits.",
        vec![(vec![], standing.crowded.max(busiest as f64 / 1e3))],
    ));
    let cpu = tallies.iter().enumerate().map(|(index, tally)| {
        (labelled([("shard", index.to_string().as_str())]), tally.event(Event::CpuMicros) as f64 / 1e6)
    });
    families.push(counter_of(
        "relay_shard_cpu_seconds_total",
        "Processor time of each media thread.",
        cpu.collect(),
    ));
    families.push(gauge(
        "relay_draining",
        "1 while the relay takes nobody new.",
        vec![(vec![], f64::from(u8::from(standing.draining)))],
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
    let limited = Limited::ALL.map(|what| {
        let (sent, limit) = what.labels();
        (vec![("what", sent), ("limit", limit)], tally.limited(what))
    });
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
        counter(
            "relay_rate_limited_packets_total",
            "Packets dropped because their session sent more than it may, by what it sent and the limit it reached.",
            limited.into(),
        ),
        counter(
            "relay_limited_sessions_total",
            "Sessions that sent more than they may, each counted once.",
            event(Event::SessionsLimited),
        ),
        histogram(
            "relay_forward_latency_seconds",
            "Time from the kernel's receive stamp of a packet to the system call that sends it on.",
            vec![WEBRTC],
            &FORWARD_LATENCY_BOUNDS,
            (tally.forward_latency(), tally.forward_latency_sum()),
        ),
        histogram(
            "relay_join_seconds",
            "Time from a viewer's join to its first forwarded packet.",
            vec![WEBRTC],
            &JOIN_BOUNDS,
            (tally.join_time(), tally.join_time_sum()),
        ),
        histogram(
            "relay_keyframe_wait_seconds",
            "Time from the first request for a key frame to the publisher's key frame.",
            vec![WEBRTC],
            &JOIN_BOUNDS,
            (tally.key_frame_wait(), tally.key_frame_wait_sum()),
        ),
        histogram_of(
            "relay_viewer_estimate_bytes_per_second",
            "Bytes per second that viewers' paths are believed to carry, each viewer's once a second.",
            vec![WEBRTC],
            ESTIMATE_BOUNDS.iter().map(|bound| *bound as f64 / 8.0),
            (tally.estimates(), tally.estimates_sum() as f64 / 8.0),
        ),
        counter(
            "relay_transport_feedback_total",
            "Feedback about all packets of a session (transport-cc): from viewers (in), to publishers (out).",
            vec![
                (vec![("dir", "in")], tally.event(Event::TransportFeedbackIn)),
                (vec![("dir", "out")], tally.event(Event::TransportFeedbackOut)),
            ],
        ),
        counter(
            "relay_paced_packets_total",
            "Packets that went out spread, because their viewer's path is slower than a burst.",
            event(Event::PacedPackets),
        ),
        counter(
            "relay_skips_total",
            "Times that a viewer too far behind its path went on at a newer key frame.",
            event(Event::Skips),
        ),
        counter(
            "relay_probes_total",
            "Bursts of packets sent again to see whether a viewer's path carries more.",
            event(Event::Probes),
        ),
        counter(
            "relay_layer_switches_total",
            "Times that a viewer's video went to another layer, by direction.",
            vec![
                (vec![("direction", "up")], tally.event(Event::LayersUp)),
                (vec![("direction", "down")], tally.event(Event::LayersDown)),
            ],
        ),
        gauge(
            "relay_layer_viewers",
            "Video legs by the layer they get, 0 for the smallest; 3 stands for all above.",
            vec![
                (vec![("layer", "0")], now(Gauge::Layer0)),
                (vec![("layer", "1")], now(Gauge::Layer1)),
                (vec![("layer", "2")], now(Gauge::Layer2)),
                (vec![("layer", "3")], now(Gauge::LayersAbove)),
            ],
        ),
        gauge(
            "relay_key_frames_only_viewers",
            "Video legs that get key frames only, because their path carries no layer.",
            vec![(vec![], now(Gauge::KeyFramesOnly))],
        ),
        gauge(
            "relay_paused_layers",
            "Layers that their publisher was asked to pause, because nobody watches them.",
            vec![(vec![], now(Gauge::PausedLayers))],
        ),
        gauge("relay_rooms", "Rooms with a publisher.", vec![(vec![], now(Gauge::Rooms))]),
        gauge("relay_viewers", "Viewing sessions.", vec![(vec![WEBRTC], now(Gauge::Viewers))]),
        gauge("relay_sessions", "Sessions, by role.", sessions.into()),
        gauge(
            "relay_sessions_connecting",
            "Sessions whose DTLS handshake is not done.",
            vec![(vec![WEBRTC], now(Gauge::Connecting))],
        ),
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
        counter(
            "relay_handed_on_packets_total",
            "Packets of rooms handed to other shards that have viewers of them.",
            event(Event::HandedOn),
        ),
        counter(
            "relay_hand_ons_put_off_total",
            "Times that packets for other shards waited for the next batch, because too many were under way.",
            event(Event::HandOnsPutOff),
        ),
        counter("relay_send_calls_total", "System calls that sent datagrams.", event(Event::SendCalls)),
        counter(
            "relay_send_trains_total",
            "Trains of equal datagrams (GSO) handed to the kernel.",
            event(Event::Trains),
        ),
    ]
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
        let text = scrape(&[], &DoorCounters::new(), Standing { draining: true, crowded: 0.25 });
        let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        assert!(names.len() > 20, "{names:?}");
        for line in names {
            let (name, kind) = line.split_once(' ').unwrap();
            assert!(name.starts_with("relay_"), "{name}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
            assert!(text.contains(&format!("# HELP {name} ")), "{name}");
        }
        assert!(text.contains("relay_draining 1\n") && text.contains("relay_load_ratio 0.25\n"));
    }
}
