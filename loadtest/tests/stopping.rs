//! Who stops the demo or a load test, by Ctrl-C or as a service manager does, finds nothing left behind: neither programs nor
//! folders.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const LIMIT: Duration = Duration::from_secs(60);

/// A program whose temporary folders are made below a folder of the test; killed when dropped.
struct Running {
    child: Child,
    out: Receiver<String>,
    err: Receiver<String>,
    dir: tempfile::TempDir,
}

impl Running {
    fn start(program: &str, arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(program);
        command.args(arguments).current_dir(dir.path()).env("TMPDIR", dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let out = lines(child.stdout.take().expect("a pipe"));
        let err = lines(child.stderr.take().expect("a pipe"));
        Self { child, out, err, dir }
    }

    fn signal(&self, signal: Signal) {
        send(self.child.id(), signal);
    }

    /// How it ends by itself.
    fn end(&mut self) -> Option<i32> {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Nobody runs any more with a file of its temporary folder, and the folder is gone.
    fn leaves_nothing(&self) {
        let deadline = Instant::now() + LIMIT;
        loop {
            let left = processes_in(self.dir.path(), "");
            if left.is_empty() {
                break;
            }
            assert!(Instant::now() < deadline, "left behind: {left:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        let left: Vec<_> = std::fs::read_dir(self.dir.path())
            .expect("a folder")
            .filter_map(|entry| Some(entry.ok()?.file_name()))
            .filter(|name| name.to_string_lossy().starts_with("latchkey-"))
            .collect();
        assert!(left.is_empty(), "left behind: {left:?}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(from: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        BufReader::new(from).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    lines
}

/// Waits for a line that holds this, and returns it.
fn awaited(lines: &Receiver<String>, wanted: &str) -> String {
    let deadline = Instant::now() + LIMIT;
    let mut said = Vec::new();
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) if line.contains(wanted) => return line,
            Ok(line) => said.push(line),
            Err(_) => panic!("no line with {wanted:?} in\n{}", said.join("\n")),
        }
    }
}

/// Ids and command lines of the processes that name the folder and this word on their command line.
fn processes_in(dir: &Path, word: &str) -> Vec<(u32, String)> {
    let needle = dir.to_str().expect("a plain path");
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let named = processes.filter_map(|entry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        let bytes = std::fs::read(entry.path().join("cmdline")).ok()?;
        Some((id, String::from_utf8_lossy(&bytes).replace('\0', " ")))
    });
    named.filter(|(_, line)| line.contains(needle) && line.contains(word)).collect()
}

fn send(process: u32, signal: Signal) {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(process, signal).expect("it is there");
}

/// The demo, with both viewers seeing and an outsider that gets something.
fn demo() -> Running {
    let demo = Running::start(env!("CARGO_BIN_EXE_latchkey-demo"), &[]);
    awaited(&demo.out, "first picture opened");
    awaited(&demo.out, "first picture opened");
    let is_listening = |line: &str| line.contains("frames received") && !line.contains(" 0 frames received");
    while !is_listening(&awaited(&demo.out, "frames received")) {}
    demo
}

#[test]
fn a_demo_that_is_stopped_ends_in_order() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut demo = demo();
        // Server, camera, two viewers.
        assert!(processes_in(demo.dir.path(), "").len() >= 4, "{:?}", processes_in(demo.dir.path(), ""));
        demo.signal(signal);
        awaited(&demo.out, "demo ok");
        assert_eq!(demo.end(), Some(0), "{signal:?}");
        demo.leaves_nothing();
    }
}

#[test]
fn a_demo_that_is_stopped_twice_ends_at_once() {
    let mut demo = demo();
    // A viewer that stands still keeps the end in order waiting.
    let viewers = processes_in(demo.dir.path(), " view ");
    assert_eq!(viewers.len(), 2, "{viewers:?}");
    send(viewers[0].0, Signal::STOP);
    demo.signal(Signal::TERM);
    awaited(&demo.err, "ending in order");
    demo.signal(Signal::TERM);
    assert_eq!(demo.end(), Some(143));
    demo.leaves_nothing();
}

#[test]
fn a_load_test_that_is_stopped_leaves_nothing_behind() {
    let seconds = ["--seconds", "300", "--set", "camera.bitrate=300 kbit/s", "--json", "-"];
    for command in [&["run", "churn", "--viewers", "2"][..], &["breakpoint", "--from", "2", "--up-to", "4"]] {
        let mut test =
            Running::start(env!("CARGO_BIN_EXE_latchkey-loadtest"), &[command, &seconds[..]].concat());
        awaited(&test.out, "\"viewers\":2");
        test.signal(Signal::TERM);
        awaited(&test.out, "\"interrupted\":true");
        assert_eq!(test.end(), Some(3), "{command:?}");
        test.leaves_nothing();

        // Once more, and at once: its server stands still.
        let mut test =
            Running::start(env!("CARGO_BIN_EXE_latchkey-loadtest"), &[command, &seconds[..]].concat());
        awaited(&test.out, "\"viewers\":2");
        let server = processes_in(test.dir.path(), "latchkey-server");
        assert_eq!(server.len(), 1, "{server:?}");
        send(server[0].0, Signal::STOP);
        test.signal(Signal::TERM);
        awaited(&test.err, "ending in order");
        test.signal(Signal::TERM);
        assert_eq!(test.end(), Some(143), "{command:?}");
        test.leaves_nothing();
    }
}
