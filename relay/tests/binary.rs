//! The binary as an operator meets it: help, mistakes, what it prints, and how it ends.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(30);
const KEY: &str = "signer-1:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

fn relay(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey-relay"));
    let ours = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LATCHKEY_RELAY_"));
    for (name, _) in ours {
        command.env_remove(name);
    }
    command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn output(mut command: Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A running relay that is ended with the test.
struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Running {
    fn start(words: &[&str]) -> Self {
        let free =
            ["--bind", "127.0.0.1:0", "--door", "127.0.0.1:0", "--ops", "127.0.0.1:0", "--shards", "1"];
        let mut child = relay(&[&free, words].concat()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, lines }
    }

    /// The first log line that holds `word`.
    fn line(&self, word: &str) -> String {
        let until = Instant::now() + LIMIT;
        loop {
            let line = self.lines.recv_timeout(until.saturating_duration_since(Instant::now()));
            let line = line.unwrap_or_else(|_| panic!("no line with {word}"));
            if line.contains(word) {
                return line;
            }
        }
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    fn end(&mut self) -> Option<i32> {
        let until = Instant::now() + LIMIT;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the relay does not end");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn help_teaches_and_names_the_environment() {
    let (code, help, _) = output(relay(&["--help"]));
    assert_eq!(code, Some(0));
    for word in [
        "--public-address",
        "LATCHKEY_RELAY_PUBLIC_ADDRESS",
        "stun:",
        "--grant-key",
        "relay.example.toml",
        "--print-config",
    ] {
        assert!(help.contains(word), "{word} is missing in\n{help}");
    }
}

#[test]
fn each_mistake_is_one_sentence_and_code_2() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let typo = file("typo.toml", "max_viewer_per_room = 3\n");
    let nonsense = file("nonsense.toml", "shards = = 3\n");
    let keys = file("keys", "# none that works\nsigner-1:short\n");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (words, said) in [
        (vec![], "no grant key"),
        (vec!["--config", &typo], "did you mean \"max_viewers_per_room\"?"),
        (vec!["--config", &nonsense], "nonsense.toml"),
        (vec!["--config", "/nonexistent/relay.toml"], "/nonexistent/relay.toml"),
        (vec!["--grant-key-file", &keys], "keys line 2"),
        (vec!["--grant-key", KEY, "--door", &taken], "cannot listen on"),
        (
            vec![
                "--grant-key",
                KEY,
                "--bind",
                "127.0.0.1:0",
                "--door",
                "off",
                "--ops",
                "off",
                "--public-address",
                "2001:db8::1",
            ],
            "another family",
        ),
    ] {
        let (code, out, err) = output(relay(&words));
        assert_eq!((code, out.as_str()), (Some(2), ""), "{words:?}: {err}");
        let sentence = err
            .lines()
            .find(|line| line.starts_with("latchkey-relay: "))
            .unwrap_or_else(|| panic!("{words:?}: {err}"));
        assert!(sentence.contains(said), "{sentence}");
    }
    for words in [vec!["--bnd", "x"], vec!["--shards", "many"], vec!["--public-address", "stun:nowhere"]] {
        let (code, _, err) = output(relay(&words));
        assert_eq!(code, Some(2), "{err}");
    }
    let mut command = relay(&["--grant-key", KEY]);
    command.env("LATCHKEY_RELAY_MAX_ROOM", "3");
    let (code, _, err) = output(command);
    assert_eq!(code, Some(2));
    assert!(err.contains("LATCHKEY_RELAY_MAX_ROOM") && err.contains("\"LATCHKEY_RELAY_MAX_ROOMS\""), "{err}");
}

#[test]
fn what_results_is_printed_flag_before_environment_before_file() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, b"shards = 2\naudience = \"file\"\nmax_rooms = 5\n").unwrap();
    let mut command = relay(&["--config", file.path().to_str().unwrap(), "--print-config", "--shards", "4"]);
    command.env("LATCHKEY_RELAY_SHARDS", "3").env("LATCHKEY_RELAY_AUDIENCE", "environment");
    let (code, out, err) = output(command);
    assert_eq!(code, Some(0), "{err}");
    for line in ["shards = 4", "audience = \"environment\"", "max_rooms = 5", "max_sessions = 20000"] {
        assert!(out.lines().any(|other| other == line), "{line} is missing in\n{out}");
    }
}

#[test]
fn sigterm_and_ctrl_c_end_it_in_order() {
    for name in ["TERM", "INT"] {
        let mut running = Running::start(&["--grant-key", KEY]);
        running.line("ops port is open");
        running.signal(name);
        running.line("relay has ended");
        assert_eq!(running.end(), Some(0), "SIG{name}");
    }
}

#[test]
fn json_logs_are_one_object_on_each_line() {
    let mut running = Running::start(&["--grant-key", KEY, "--json"]);
    let line = running.line("door is open");
    let object: serde_json::Value = serde_json::from_str(&line).unwrap();
    let door = object["fields"]["address"].as_str().unwrap();
    assert!(std::net::TcpStream::connect(door).is_ok(), "{door}");
    running.signal("INT");
    assert_eq!(running.end(), Some(0));
    let mut out = String::new();
    running.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert_eq!(out, "", "logs go to the standard error");
}
