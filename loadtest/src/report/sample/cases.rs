//! The runs that a report must be able to tell, by name.

use crate::measure::line::{FaultLine, Line, Party};
use crate::report::sample::Sample;

/// Returns the cases that a report must tell, by name.
pub(crate) fn cases() -> Vec<(&'static str, Vec<Vec<Line>>)> {
    let one = |sample: Sample| vec![sample.lines()];
    let fault = |at_s: f64, party, code: &str, text: &str, count| FaultLine {
        at_s,
        party,
        code: code.into(),
        text: text.into(),
        count,
    };
    let failing = Sample {
        cpu_each: 0.97,
        base_ms: 6.0,
        lost: Some((100, 2.4)),
        faults: vec![
            fault(47.2, Party::Server, "join-refused", "the server answered 503 relay-full", 3),
            fault(51.0, Party::Viewer, "viewer-ended", "DTLS alert from the far side", 1),
            fault(52.5, Party::Server, "join-refused", "the server answered 503 relay-full", 4),
        ],
        ..Sample::default()
    };
    let driver = Sample {
        driver_each: 1.15,
        late_pct: 6.2,
        lost: Some((100, 1.1)),
        faults: vec![fault(
            46.0,
            Party::Driver,
            "driver-overloaded",
            "6.2 % of the packets left more than 2 ms late",
            9,
        )],
        ..Sample::default()
    };
    let lossy = Sample {
        scenario: "lossy-wifi".into(),
        networks: vec![("lossy-wifi".into(), 60.0), ("fair".into(), 40.0)],
        lost: Some((50, 3.0)),
        ..Sample::default()
    };
    let peer = Sample {
        server: "mediamtx 1.9.3".into(),
        cpu_each: 0.34,
        base_ms: 2.6,
        sealed: false,
        checks: Vec::new(),
        ..Sample::default()
    };
    let huge = Sample {
        scenario: "a scenario whose name goes on for rather longer than anyone would think wise <b>&amp;</b>"
            .into(),
        server: "a-server-with-a-very-long-name-indeed 17.4.2-rc1+build.20261122".into(),
        steps: vec![20_000, 150_000, 1_250_000],
        seconds: 4,
        cpu_each: 0.02,
        driver_each: 0.0002,
        server_cores: (0..64).collect(),
        ..Sample::default()
    };
    let search = Sample {
        scenario: "breakpoint".into(),
        steps: vec![100, 200, 400, 300, 350, 325],
        seconds: 6,
        cpu_each: 0.28,
        driver_each: 0.19,
        lost: Some((340, 1.6)),
        checks: Vec::new(),
        ..Sample::default()
    };
    let many = Sample {
        driver_each: 0.15,
        steps: (1..=40).map(|step| step * 10).collect(),
        seconds: 30,
        checks: Vec::new(),
        ..Sample::default()
    };
    vec![
        ("ramp", one(Sample::default())),
        ("failing", one(failing)),
        ("driver", one(driver)),
        ("lossy", one(lossy)),
        ("compare", vec![Sample::default().lines(), peer.lines()]),
        (
            "rounds",
            vec![
                (0..3)
                    .flat_map(|round| {
                        let cost = 0.08 + 0.01 * f64::from(round);
                        let ours = Sample { cpu_each: cost, ..Sample::default() };
                        [ours.lines(), Sample { cpu_each: cost * 4.0, ..peer.clone() }.lines()].concat()
                    })
                    .collect(),
            ],
        ),
        ("one-viewer", one(Sample { steps: vec![1], seconds: 2, ..Sample::default() })),
        ("empty", one(Sample { steps: Vec::new(), interrupted: true, ..Sample::default() })),
        ("unfinished", vec![Sample::default().lines().into_iter().take(20).collect()]),
        ("unwatched", one(Sample { watched: false, ..Sample::default() })),
        ("many", one(many)),
        ("search", one(search)),
        ("huge", one(huge)),
    ]
}
