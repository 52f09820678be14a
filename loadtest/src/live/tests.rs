//! The display where there is no terminal, and one that draws nothing.

use std::sync::{Arc, Mutex};

use super::*;

#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn snapshot(second: u64) -> Snapshot {
    Snapshot {
        at: Duration::from_secs(second),
        phase: "measuring".into(),
        step: 2,
        steps: 4,
        viewers: 50,
        viewers_asked: 50,
        joins_ok: 50,
        mbit_out: 132.0,
        p50_ms: 1.25,
        p99_ms: 4.5,
        server_cpu_pct: Some(12.5),
        driver_cpu_pct: 31.0,
        left: Some(Duration::from_secs(40 - second)),
        ..Snapshot::default()
    }
}

#[test]
fn without_a_terminal_every_other_second_is_told_and_the_last() {
    let paper = Paper::default();
    let mut live = Live(Screen::Lines(Lines::start("crowd", Box::new(paper.clone()))));
    (0..=30).for_each(|done| live.prepare("enrolling", done, 30));
    (1..=6).for_each(|second| live.show(&snapshot(second)));
    live.note("a viewer\u{1b}[2J ended");
    live.finish();
    let text = paper.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "crowd");
    assert_eq!(lines.iter().filter(|line| line.starts_with("enrolling")).count(), 11, "{text}");
    let told: Vec<&str> =
        lines.iter().filter_map(|line| line.split_once("s measuring").map(|it| it.0.trim())).collect();
    assert_eq!(told, ["1", "3", "5", "6"], "{text}");
    assert!(lines.contains(&"a viewer [2J ended"), "{text}");
    assert!(
        text.contains(
            "viewers 50/50  out 132 Mbit/s  lost 0%  p50 1.25 p99 4.5 ms  server 12.5%  driver 31%"
        )
    );
}

#[test]
fn bars_survive_every_state() {
    let mut live = Live(Screen::Bars(Bars::start(
        "a name that is far too long for a bar",
        ProgressDrawTarget::hidden(),
    )));
    live.prepare("enrolling", 3, 0);
    live.show(&Snapshot::default());
    live.show(&Snapshot { p99_ms: f64::NAN, viewers: u64::MAX, ..snapshot(3) });
    live.note("x");
    live.finish();
}

#[test]
fn a_state_is_told_in_words() {
    let words = [words::phase(&snapshot(5)), words::joins(&snapshot(5)), words::load(&snapshot(5))];
    let expected = [
        "measuring, step 2 of 4, 35 s left",
        "50/50 · joined 50, failed 0",
        "CPU of one core: server 12.5 % · driver 31 %",
    ];
    assert_eq!(words, expected);
    assert_eq!(words::passed(&snapshot(5)), (5000, 40_000));
    let endless = Snapshot { left: None, ..snapshot(5) };
    assert_eq!(words::passed(&endless), (1, 4));
}

/// Where nothing comes, nothing was quick.
#[test]
fn a_second_without_a_picture_has_no_latency() {
    let dark = Some(Duration::from_secs(4));
    let told = words::line(&Snapshot { p50_ms: 0.0, p99_ms: 0.0, dark, ..snapshot(5) });
    assert!(told.contains("p50 – p99 – ms") && told.ends_with("no pictures for 4 s"), "{told}");
    assert!(!words::line(&snapshot(5)).contains("no pictures"));
}

#[test]
fn what_finds_no_room_is_left_out_whole() {
    let told = "measuring, step 2 of 4, 35 s left";
    assert_eq!(words::fitting(told, 33), told);
    assert_eq!(words::fitting(told, 32), "measuring, step 2 of 4");
    assert_eq!(words::fitting("50/50 · joined 50, failed 0 · 2 faults", 30), "50/50 · joined 50, failed 0");
    assert_eq!(words::fitting("founding households", 8), "foundin…");
    let many = Snapshot { mbit_out: 12_345.6, ..snapshot(5) };
    assert!(words::line(&many).contains("out 12346 Mbit/s"), "{}", words::line(&many));
}
