//! What is told of a server: by captured metrics, of a real process, and of one that nothing is known of.
#![allow(clippy::unwrap_used)]
use super::*;

const BEFORE: &str = r#"
relay_packets_total{dir="in",kind="video",transport="webrtc"} 1000
relay_packets_total{dir="out",kind="video",transport="webrtc"} 10000
relay_packets_total{dir="out",kind="rtcp",transport="webrtc"} 900
relay_bytes_total{dir="out",kind="video",transport="webrtc"} 11000000
relay_packets_dropped_total{reason="queue_full"} 5
relay_packets_dropped_total{reason="auth"} 1
relay_forward_latency_seconds_bucket{transport="webrtc",le="0.0001"} 10000
relay_forward_latency_seconds_bucket{transport="webrtc",le="0.001"} 10000
relay_forward_latency_seconds_bucket{transport="webrtc",le="+Inf"} 10000
relay_nack_total 7
relay_rtx_packets_total 7
relay_pli_total{dir="in"} 100
relay_pli_total{dir="out"} 4
relay_socket_recv_drops_total 0
"#;
const AFTER: &str = r#"
relay_packets_total{dir="in",kind="video",transport="webrtc"} 1300
relay_packets_total{dir="out",kind="video",transport="webrtc"} 40000
relay_packets_total{dir="out",kind="audio",transport="webrtc"} 10
relay_packets_total{dir="out",kind="rtcp",transport="webrtc"} 1900
relay_bytes_total{dir="out",kind="video",transport="webrtc"} 44000000
relay_packets_dropped_total{reason="queue_full"} 8
relay_packets_dropped_total{reason="auth"} 1
relay_forward_latency_seconds_bucket{transport="webrtc",le="0.0001"} 10000
relay_forward_latency_seconds_bucket{transport="webrtc",le="0.001"} 39000
relay_forward_latency_seconds_bucket{transport="webrtc",le="+Inf"} 40000
relay_nack_total 17
relay_rtx_packets_total 15
relay_pli_total{dir="in"} 200
relay_pli_total{dir="out"} 6
relay_socket_recv_drops_total 2
"#;

fn sample(text: Option<&str>, process: Option<ProcessUse>, at: Instant) -> Sample {
    Sample { at, base_rss_kb: 10_000, process, metrics: text.map(Metrics::read) }
}

#[test]
fn figures_are_of_the_time_between_two_looks() {
    let at = Instant::now();
    let ms = Duration::from_millis;
    let before =
        ProcessUse { cpu: ms(1000), user: ms(600), sys: ms(400), switches: 50, ..Default::default() };
    let after = ProcessUse {
        cpu: ms(1150),
        user: ms(650),
        sys: ms(500),
        rss_kb: 14_000,
        threads: 3,
        files: 12,
        switches: 250,
    };
    let earlier = sample(Some(BEFORE), Some(before), at);
    let later = sample(Some(AFTER), Some(after), at + ms(2000));
    let figures = later.since(&earlier, 100).unwrap();
    assert_eq!((figures.packets_in, figures.packets_out), (300, 30_010));
    assert_eq!((figures.nacks, figures.rtx, figures.plis, figures.socket_drops), (10, 8, 2, 2));
    assert_eq!(figures.drops, [("queue_full".to_owned(), 3)]);
    assert_eq!((figures.forward_p50_ms, figures.forward_p99_ms), (1.0, 1.0));
    let near = |a: f64, b: f64| (a - b).abs() < 1e-6 * b.abs().max(1.0);
    assert!(near(figures.cpu_pct, 7.5) && near(figures.user_pct, 2.5) && near(figures.sys_pct, 5.0));
    assert!(near(figures.us_per_packet, 150_000.0 / 30_010.0), "{figures:?}");
    assert!(near(figures.mbit_per_core, 33.0 * 8.0 / 0.15), "{figures:?}");
    assert!(near(figures.switches_per_s, 100.0) && near(figures.kb_per_viewer, 40.0));
    assert_eq!((figures.rss_kb, figures.threads, figures.files), (14_000, 3, 12));
}

#[test]
fn a_restarted_server_counts_from_its_start() {
    let at = Instant::now();
    let figures = sample(Some(BEFORE), None, at).since(&sample(Some(AFTER), None, at), 1).unwrap();
    assert_eq!((figures.packets_out, figures.nacks), (10_000, 7));
}

#[test]
fn a_foreign_server_is_told_by_its_process_and_its_viewers() {
    let at = Instant::now();
    let process = |cpu| Some(ProcessUse { cpu: Duration::from_millis(cpu), ..Default::default() });
    let foreign = "janus_sessions 5\n";
    let earlier = sample(Some(foreign), process(0), at);
    let later = sample(Some(foreign), process(500), at + Duration::from_secs(1));
    let mut figures = later.since(&earlier, 5).unwrap();
    assert_eq!((figures.packets_out, figures.us_per_packet, figures.forward_p99_ms), (0, 0.0, 0.0));
    count_by_viewers(&mut figures, 1.0, 100_000, 100_000_000);
    assert!((figures.us_per_packet - 5.0).abs() < 1e-9 && (figures.mbit_per_core - 1600.0).abs() < 1e-6);
}

#[tokio::test]
async fn nothing_known_is_no_error_and_a_real_process_is_seen() {
    let nobody = ServerWatch::new(None, None);
    let (first, second) = (nobody.sample().await, nobody.sample().await);
    assert!(second.since(&first, 1).is_none());

    // Nobody answers on this port, and nobody has this process number.
    let gone = ServerWatch::new(Some(Url::parse("http://127.0.0.1:9/").unwrap()), Some(u32::MAX >> 1));
    let (first, second) = (gone.sample().await, gone.sample().await);
    assert!(!second.has_metrics() && !second.has_process() && second.since(&first, 1).is_none());

    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let watch = ServerWatch::new(None, Some(child.id()));
    let (first, second) = (watch.sample().await, watch.sample().await);
    let figures = second.since(&first, 0).unwrap();
    assert!(figures.rss_kb > 0 && figures.threads == 1 && figures.cpu_pct < 100.0, "{figures:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(watch.sample().await.since(&first, 0).is_none());
}

#[tokio::test]
async fn metrics_are_asked_for_at_the_ops_port() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().route("/metrics", axum::routing::get(|| async { AFTER }));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    for ops in [format!("http://{address}"), format!("http://{address}/metrics")] {
        let sample = ServerWatch::new(Some(Url::parse(&ops).unwrap()), None).sample().await;
        assert_eq!(sample.metrics, Some(Metrics::read(AFTER)), "{ops}");
    }
    let missing = Url::parse(&format!("http://{address}/elsewhere")).unwrap();
    assert!(!ServerWatch::new(Some(missing), None).sample().await.has_metrics());
    serving.abort();
}
