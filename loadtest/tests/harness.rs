//! The load test itself, as a person calls it: exit codes, the last line, the page, and what it says when it cannot.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use latchkey_loadtest::measure::line::{Line, Party, StepLine, Verdict, VerdictLine};
use latchkey_loadtest::server::{Server, Setup};
use rustix::process::{Pid, Signal, kill_process};

const LIMIT: Duration = Duration::from_secs(90);

/// What a call left behind.
struct Called {
    code: Option<i32>,
    out: String,
    err: String,
}

fn loadtest(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey-loadtest"));
    command.args(arguments).current_dir(dir).stdin(Stdio::null());
    // Temporary folders of the run are below this one, so that what is left behind is seen.
    command.env("TMPDIR", dir);
    command
}

fn call(dir: &Path, arguments: &[&str]) -> Called {
    let Output { status, stdout, stderr } = loadtest(dir, arguments).output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it speaks UTF-8");
    Called { code: status.code(), out: text(stdout), err: text(stderr) }
}

fn lines(path: &Path) -> Vec<Line> {
    Line::read_all(&std::fs::read_to_string(path).expect("the file is there")).expect("its lines are lines")
}

fn verdict(lines: &[Line]) -> &VerdictLine {
    match lines.last() {
        Some(Line::Verdict(verdict)) => verdict,
        other => panic!("the last line is no verdict: {other:?}"),
    }
}

fn whole(lines: &[Line]) -> &StepLine {
    let whole = lines.iter().rev().find_map(|line| match line {
        Line::Step(step) if step.step.is_none() => Some(step),
        _ => None,
    });
    whole.expect("a line of the whole run")
}

/// The servers that runs in this folder have started: each names it on its command line.
fn servers_of(dir: &Path) -> Vec<(u32, String)> {
    let needle = dir.to_str().expect("a plain path");
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    processes
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            let bytes = std::fs::read(entry.path().join("cmdline")).ok()?;
            Some((id, String::from_utf8_lossy(&bytes).replace('\0', " ")))
        })
        .filter(|(_, line)| line.contains("latchkey-server") && line.contains(needle))
        .collect()
}

/// Nothing of a run's own processes is left.
fn assert_nobody_is_left(dir: &Path) {
    let deadline = Instant::now() + LIMIT;
    loop {
        let left = servers_of(dir);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "left behind: {left:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn an_evening_of_ten_seconds_passes_and_is_told() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let arguments =
        ["run", "doorbell-evening", "--seconds", "7", "--json", "out.jsonl", "--html", "out.html"];
    let called = call(dir.path(), &arguments);
    let lines = lines(&dir.path().join("out.jsonl"));
    let judged = verdict(&lines);
    assert_eq!(called.code, Some(0), "{judged:?}\n{}\n{}", called.out, called.err);
    assert_eq!((judged.verdict, judged.interrupted), (Verdict::Pass, false));
    assert!(judged.expected > 0 && judged.opened > 0, "{judged:?}");

    let Some(Line::Run(run)) = lines.first() else { panic!("the first line is no run: {:?}", lines.first()) };
    assert_eq!(
        (run.scenario.as_str(), run.households, run.cameras, run.members),
        ("doorbell-evening", 8, 8, 24)
    );
    assert_eq!(run.srtp, "SRTP AEAD_AES_128_GCM", "{run:?}");
    assert!(run.sealed && run.server_is_child && run.content == "doorbell", "{run:?}");
    let whole = whole(&lines);
    assert!(whole.joins.seen >= 24 && whole.joins.left > 0, "{:?}", whole.joins);
    assert!(whole.intruders.bad_grants > 0 && whole.intruders.garbage > 0, "{:?}", whole.intruders);
    assert!(whole.frame_latency.count > 0 && whole.first_frame.count >= 24);
    assert!(whole.server.as_ref().is_some_and(|server| server.packets_out > 0 && server.rss_kb > 0));
    let seconds = lines.iter().filter(|line| matches!(line, Line::Second(_))).count();
    assert!(seconds >= 7, "{seconds} lines of seconds");
    for line in &lines {
        if let Line::Fault(fault) = line {
            // A busy machine makes a late driver, which a run may pass with.
            assert!(matches!(fault.party, Party::Network | Party::Driver), "{fault:?}");
        }
    }

    let page = std::fs::read_to_string(dir.path().join("out.html")).expect("the page is there");
    assert!(page.contains("<html") && page.contains("doorbell-evening") && page.contains("<svg"));
    assert!(called.out.contains("PASS"), "{}", called.out);
    assert_nobody_is_left(dir.path());

    let again = call(dir.path(), &["report", "out.jsonl", "--html", "again.html"]);
    assert_eq!(again.code, Some(0), "{}", again.err);
    assert_eq!(std::fs::read_to_string(dir.path().join("again.html")).expect("a page"), page);
}

#[test]
fn an_assertion_that_cannot_hold_fails_by_its_name() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let small = "name = \"small\"\n[viewers]\ncount = 2\n[camera]\nbitrate = \"300 kbit/s\"\n[phases]\nramp = 0\n\
                 settle = 0\nsteady = \"2 s\"\n[assert]\nviewers_ok = 3\nloss_pct = 100\n";
    std::fs::write(dir.path().join("small.toml"), small).expect("written");
    let called = call(dir.path(), &["run", "small.toml", "--json", "-"]);
    let lines = Line::read_all(&called.out).expect("standard output is lines and nothing else");
    let judged = verdict(&lines);
    // What a busy machine did to the driver is never held against the server.
    let busy = |line: &Line| matches!(line, Line::Fault(fault) if fault.code == "driver-overloaded");
    let expected = match lines.iter().any(busy) {
        true => (Some(3), Verdict::Inconclusive),
        false => (Some(1), Verdict::Fail),
    };
    assert_eq!((called.code, judged.verdict), expected, "{}\n{}", called.out, called.err);
    let broken: Vec<&str> =
        judged.checks.iter().filter(|check| !check.holds).map(|check| check.name.as_str()).collect();
    assert_eq!(broken, ["viewers_ok"], "{judged:?}");
    assert_nobody_is_left(dir.path());
}

#[test]
fn a_single_step_is_a_list_of_one() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for said in [["--steps", "5"], ["--set", "viewers.steps=5"]] {
        let called = call(dir.path(), &[&["run", "churn", "--print-scenario"][..], &said[..]].concat());
        assert_eq!(called.code, Some(0), "{}", called.err);
        assert!(called.out.contains("steps = [5]") && called.out.contains("count = 5"), "{}", called.out);
    }
}

#[test]
fn mistakes_of_the_caller_are_named_and_exit_with_two() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(dir.path().join("slip.toml"), "[viewers]\ncuont = 5\n").expect("written");
    for (arguments, wanted) in [
        (vec!["run", "slip.toml"], "unknown key \"cuont\" in [viewers]: did you mean \"count\"?"),
        (vec!["run", "no-such-scenario"], "there is no scenario \"no-such-scenario\""),
        (vec!["run", "churn", "--set", "churn.joins_per_s=many"], "churn.joins_per_s"),
        (vec!["run", "churn", "--set", "churn"], "--set viewers.count=200"),
        (vec!["run", "churm"], "did you mean churn?"),
        (vec!["run", "churn", "--viewers", "-5"], "write a whole number of viewers"),
        (vec!["run", "churn", "--server", "nohost"], "write it like http://host:9601"),
        (vec!["run", "churn", "--set", "camera.clip=no.ivf"], "cannot read the clip no.ivf"),
        (vec!["run", "churn", "--steps", "40,20"], "steps ascend"),
        (vec!["run", "churn", "--steps", "40,20", "--viewers", "0"], "viewers.count"),
        (vec!["run", "churn", "--ops", "http://127.0.0.1:1"], "--server"),
        (vec!["breakpoint", "--max-p99", "0"], "above 0"),
        (vec!["breakpoint", "--max-loss", "101"], "between 0 and 100 percent"),
        (vec!["breakpoint", "--drivers", "0"], "at least 1"),
        (vec!["breakpoint", "--from", "50", "--up-to", "20"], "--from 50 is above --up-to 20"),
        (vec!["report", "slip.toml"], "slip.toml"),
    ] {
        let called = call(dir.path(), &arguments);
        assert_eq!(called.code, Some(2), "{arguments:?}: {}", called.err);
        assert!(called.err.contains(wanted), "{arguments:?}: {}", called.err);
        assert!(called.err.starts_with("latchkey-loadtest: ") && called.out.is_empty(), "{}", called.err);
    }
    let mut command = loadtest(dir.path(), &["run", "churn", "--print-scenario"]);
    let refused = command.env("LATCHKEY_LOADTEST_VIEWERS_CUONT", "5").output().expect("the program starts");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("LATCHKEY_LOADTEST_VIEWERS_CUONT") && said.contains("\"count\""), "{said}");
}

#[test]
fn a_server_that_is_not_there_is_said_so_and_is_no_fault_of_it() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    // A port that was free a moment ago and that nobody listens on.
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
    let url = format!("http://{port}");
    let called = call(dir.path(), &["run", "doorbell-evening", "--server", &url, "--json", "out.jsonl"]);
    assert_eq!(called.code, Some(2), "{}\n{}", called.out, called.err);
    assert!(called.err.contains(&port.to_string()), "{}", called.err);
    let lines = lines(&dir.path().join("out.jsonl"));
    assert_eq!(verdict(&lines).verdict, Verdict::Inconclusive);
    let faults: Vec<_> = lines
        .iter()
        .filter_map(|line| match line {
            Line::Fault(fault) => Some((fault.party, fault.code.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(faults, [(Party::Caller, "server-not-there")]);
}

/// A run of five minutes of which two seconds are measured already.
fn begin_long(dir: &Path, command: impl FnOnce(&mut Command)) -> Child {
    let small = "name = \"long\"\n[viewers]\ncount = 2\n[camera]\nbitrate = \"300 kbit/s\"\n[phases]\nramp = 0\n\
                settle = 0\nsteady = \"5 min\"\n";
    std::fs::write(dir.join("long.toml"), small).expect("written");
    let arguments = ["run", "long.toml", "--json", "out.jsonl", "--html", "out.html", "--quiet"];
    let mut called = loadtest(dir, &arguments);
    command(&mut called);
    let mut child = called.spawn().expect("the program starts");
    let deadline = Instant::now() + LIMIT;
    loop {
        let text = std::fs::read_to_string(dir.join("out.jsonl")).unwrap_or_default();
        let complete = text.rsplit_once('\n').map_or("", |(complete, _)| complete);
        let told = Line::read_all(complete).unwrap_or_default();
        let watched = |line: &&Line| matches!(line, Line::Second(second) if second.viewers == 2 && second.step.is_some());
        if told.iter().filter(watched).count() >= 2 {
            return child;
        }
        let over = child.try_wait().expect("a child").is_some() || Instant::now() > deadline;
        if over {
            let _ = child.kill();
            let _ = child.wait();
            panic!("nobody watches: {text}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// How a child ends by itself; one that does not is killed.
fn end_of(child: &mut Child) -> Option<i32> {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return status.code();
        }
        if Instant::now() > deadline {
            child.kill().expect("it can be killed");
            child.wait().expect("it ends");
            panic!("it does not end on Ctrl-C");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(process: u32, signal: Signal) {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(process, signal).expect("it is there");
}

#[test]
fn ctrl_c_ends_in_order_with_report_and_verdict() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut child = begin_long(dir.path(), |_| {});
    signal(child.id(), Signal::INT);
    assert_eq!(end_of(&mut child), Some(3));
    let lines = lines(&dir.path().join("out.jsonl"));
    let judged = verdict(&lines);
    assert_eq!((judged.verdict, judged.interrupted), (Verdict::Inconclusive, true));
    assert!(judged.opened > 0, "what was measured is told: {judged:?}");
    assert!(std::fs::read_to_string(dir.path().join("out.html")).expect("a page").contains("<svg"));
    assert_nobody_is_left(dir.path());
}

#[test]
fn ctrl_c_once_more_ends_at_once() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut child = begin_long(dir.path(), |command| {
        command.stderr(Stdio::piped());
    });
    // A server that stands still keeps the end in order waiting.
    let server = servers_of(dir.path());
    assert_eq!(server.len(), 1, "{server:?}");
    signal(server[0].0, Signal::STOP);
    signal(child.id(), Signal::INT);
    let mut said = String::new();
    let mut errors = BufReader::new(child.stderr.take().expect("a pipe"));
    while !said.contains("ending in order") {
        said.clear();
        assert!(errors.read_line(&mut said).expect("text") > 0, "it does not say that it ends");
    }
    assert!(said.contains("Ctrl-C once more"), "{said}");
    signal(child.id(), Signal::INT);
    assert_eq!(end_of(&mut child), Some(130));
    assert_nobody_is_left(dir.path());
}

#[test]
fn a_killed_load_test_leaves_no_server_behind() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut child = begin_long(dir.path(), |_| {});
    assert_eq!(servers_of(dir.path()).len(), 1);
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    assert_nobody_is_left(dir.path());
}

/// Somebody's server, whose process the load test knows nothing of, ends or stands still in the middle.
#[test]
fn a_server_that_dies_while_it_is_measured_fails() {
    for (death, how) in [(Signal::KILL, "stopped answering"), (Signal::STOP, "stopped answering")] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut server = Server::start_with(dir.path(), Setup::for_load(1, &[])).expect("a server");
        let url = server.doors().signaling_url.clone();
        let mut child = begin_long(dir.path(), |command| {
            command.args(["--server", &url]);
        });
        signal(server.process().id(), death);
        assert_eq!(end_of(&mut child), Some(1), "{death:?}");
        let lines = lines(&dir.path().join("out.jsonl"));
        let judged = verdict(&lines);
        assert_eq!((judged.verdict, judged.interrupted), (Verdict::Fail, false), "{judged:?}");
        assert_eq!(judged.viewers_ok, 0, "{judged:?}");
        assert!(judged.opened < judged.expected, "{judged:?}");
        let gone = lines.iter().find_map(|line| match line {
            Line::Fault(fault) if fault.code == "server-gone" => Some(fault),
            _ => None,
        });
        let gone = gone.expect("a fault");
        assert!(gone.party == Party::Server && gone.text.contains(how), "{gone:?}");
        let page = std::fs::read_to_string(dir.path().join("out.html")).expect("a page");
        assert!(page.contains("The server went away during this step, so it is not counted."));
    }
}
