//! Runs `client-sdk/e2ee/interop/member.mjs` as a child process and asks it one thing after the other.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// A device in Node; the process ends with it.
pub struct Node {
    child: Child,
    requests: ChildStdin,
    answers: Receiver<String>,
}

impl Node {
    /// Starts one; `None` where there is no Node.
    pub fn start() -> Option<Self> {
        static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
        let folder = FOLDER.get_or_init(install).as_ref()?;
        let mut child = Command::new("node")
            .arg("member.mjs")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let requests = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, answers) = channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Some(Self { child, requests, answers })
    }

    /// Asks and returns the answer; an error of the other side fails the test.
    pub fn ask(&mut self, what: &str, arguments: Value) -> Value {
        self.try_ask(what, arguments).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Asks and returns one field of the answer, which is bytes.
    pub fn bytes(&mut self, what: &str, arguments: Value, field: &str) -> Vec<u8> {
        let answer = self.ask(what, arguments);
        hex::decode(answer[field].as_str().unwrap_or_else(|| panic!("{what}: no {field}"))).unwrap()
    }

    /// Asks; an error of the other side comes back as its text.
    pub fn try_ask(&mut self, what: &str, mut arguments: Value) -> Result<Value, String> {
        arguments["do"] = json!(what);
        writeln!(self.requests, "{arguments}").unwrap();
        let line = self.answers.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("node does not answer {what}"));
        let mut answer: Value = serde_json::from_str(&line).unwrap();
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["ok"].take()),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a folder with the scripts and their packages: the one in the source when `npm ci` was run there, else a
/// copy in the build folder.
fn install() -> Option<PathBuf> {
    if !runs("node") || !runs("npm") {
        eprintln!("interop: node or npm is not on PATH, so the other implementation was not asked");
        return None;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop");
    if source.join("node_modules/ts-mls").is_dir() {
        return Some(source);
    }
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop");
    let lock = fs::read(source.join("package-lock.json")).unwrap();
    let fresh = fs::read(copy.join("installed-lock.json")).is_ok_and(|installed| installed == lock);
    fs::create_dir_all(&copy).unwrap();
    for entry in fs::read_dir(&source).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
        }
    }
    if !fresh {
        let npm =
            Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&copy).output().unwrap();
        assert!(npm.status.success(), "npm ci: {}", String::from_utf8_lossy(&npm.stderr));
        fs::write(copy.join("installed-lock.json"), lock).unwrap();
    }
    Some(copy)
}

fn runs(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// How long an answer may take before the other side counts as dead.
const LIMIT: Duration = Duration::from_secs(30);
