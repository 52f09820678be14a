//! The search beside the kernel floor, as a person calls it: both are searched, told and set beside each other.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use latchkey_loadtest::measure::line::{Line, RunLine, StepLine, Verdict, VerdictLine};
use latchkey_loadtest::report;

/// The program in a folder of its own; returns exit code, standard output and standard error.
fn call(dir: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey-loadtest"));
    command.args(arguments).current_dir(dir).env("TMPDIR", dir).stdin(Stdio::null());
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it speaks UTF-8");
    (status.code(), text(stdout), text(stderr))
}

/// What one of the two left in the file.
struct Searched {
    run: RunLine,
    trials: Vec<StepLine>,
    verdict: VerdictLine,
}

fn searched(lines: &[Line]) -> Searched {
    let [Line::Run(run), between @ .., Line::Verdict(verdict)] = lines else {
        panic!("a run begins with its line and ends with its verdict: {lines:?}")
    };
    let step = |line: &Line| match line {
        Line::Step(step) => Some((**step).clone()),
        _ => None,
    };
    Searched {
        run: (**run).clone(),
        trials: between.iter().filter_map(step).collect(),
        verdict: (**verdict).clone(),
    }
}

fn both(path: &Path) -> (Searched, Searched) {
    let lines = report::read(path).expect("lines of two runs");
    let second = lines.iter().rposition(|line| matches!(line, Line::Run(_))).expect("a run");
    (searched(&lines[..second]), searched(&lines[second..]))
}

fn a_search_beside_the_floor(pace: &str) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let pace = format!("camera.pace={pace}");
    let arguments = ["breakpoint", "--floor", "--up-to", "20", "--seconds", "1", "--set", &pace];
    // However slow the machine is, what comes counts as carried.
    let bounds = ["--max-p99", "60000", "--max-loss", "100"];
    let files = ["--json", "out.jsonl", "--html", "out.html"];
    let (code, out, err) = call(dir.path(), &[&arguments[..], &bounds, &files].concat());
    let (floor, ours) = both(&dir.path().join("out.jsonl"));
    assert_eq!(code, Some(0), "{:?}\n{:?}\n{out}\n{err}", floor.verdict, ours.verdict);
    assert_eq!((floor.verdict.verdict, ours.verdict.verdict), (Verdict::Pass, Verdict::Pass), "{out}");

    assert_eq!((floor.run.server.as_str(), floor.run.scenario.as_str()), ("kernel floor", "breakpoint"));
    assert_eq!(floor.run.server_cores, ours.run.server_cores.clone().into_iter().take(1).collect::<Vec<_>>());
    assert_eq!((&floor.run.shape, floor.run.step_seconds), (&ours.run.shape, 1.0));
    assert_eq!(ours.run.step_seconds, 1.0);
    for trial in &floor.trials {
        assert_eq!(trial.server_name, "kernel floor");
        // 30 frames of 10 packets to each.
        assert_eq!(trial.camera.packets, 300, "{trial:?}");
        assert_eq!(trial.viewer.expected, 300 * trial.viewers, "{trial:?}");
        let server = trial.server.as_ref().expect("the floor is watched");
        assert!(server.us_per_packet > 0.0 && server.cpu_pct > 0.0, "{server:?}");
    }
    assert_eq!((floor.verdict.last_good, ours.verdict.last_good), (Some(20), Some(20)));
    let carried = floor.trials.iter().find(|trial| Some(trial.viewers) == floor.verdict.last_good);
    let carried = carried.expect("what was carried was tried");
    assert!(carried.viewer.received > 0 && carried.frame_latency.count > 0, "{carried:?}");
    assert!(carried.viewers_ok > 0, "{carried:?}");

    let sentence = &ours.verdict.limit;
    assert!(sentence.contains("the kernel floor carries"), "{sentence}");
    let heads = out.lines().filter(|line| line.starts_with("breakpoint · ")).count();
    assert_eq!(heads, 2, "a table for each: {out}");
    assert!(out.contains("ours / floor") && out.contains("CPU per packet with"), "{out}");
    let page = std::fs::read_to_string(dir.path().join("out.html")).expect("the page is there");
    assert!(page.contains("kernel floor") && page.contains("side by side"), "both stand on the page");
}

#[test]
fn bursts_are_searched_beside_the_floor() {
    a_search_beside_the_floor("burst");
}

#[test]
fn spread_packets_are_searched_beside_the_floor() {
    a_search_beside_the_floor("spread");
}

#[test]
fn what_the_floor_cannot_be_is_refused_before_anything_runs() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let base = ["breakpoint", "--floor", "--up-to", "2", "--seconds", "1", "--quiet", "--set"];
    for (set, word) in [("camera.clip=doorbell", "made-up packets"), ("households.cameras=2", "2 cameras")] {
        let (code, _, err) = call(dir.path(), &[&base[..], &[set]].concat());
        assert_eq!(code, Some(2), "{err}");
        assert!(err.contains(word), "{err}");
    }
}
