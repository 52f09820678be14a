//! The binary as a child process: started with a ready file, ended by a signal or by force.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use latchkey_signaling::ReadyFile;

use crate::running::LIVENESS;

/// A running `latchkey-server`; killed when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) ready: ReadyFile,
}

impl Process {
    /// Starts it on `folder` with free ports, or with those of `listen`.
    pub(crate) async fn start(folder: &Path, listen: &str) -> Self {
        Self::start_with(folder, listen, &[]).await
    }

    /// The same with more arguments.
    pub(crate) async fn start_with(folder: &Path, listen: &str, more: &[&str]) -> Self {
        let ready_file = folder.join("ready.json");
        let _ = std::fs::remove_file(&ready_file);
        let mut child = command()
            .args([
                "--listen",
                listen,
                "--media",
                "127.0.0.1:0",
                "--ops",
                "127.0.0.1:0",
                "--shards",
                "1",
                "--device-burst",
                "100000",
            ])
            .args(more)
            .arg("--data-dir")
            .arg(folder.join("data"))
            .arg("--ready-file")
            .arg(&ready_file)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let until = Instant::now() + LIVENESS;
        loop {
            if let Ok(text) = std::fs::read(&ready_file) {
                let ready: ReadyFile = serde_json::from_slice(&text).unwrap();
                assert_eq!(ready.pid, child.id());
                return Self { child, ready };
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the server ended with {status}");
            }
            assert!(Instant::now() < until, "the server gets ready");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; returns how it ended and what it had printed.
    pub(crate) async fn terminate(mut self) -> (ExitStatus, String) {
        let sent = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
        let until = Instant::now() + LIVENESS;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < until, "the server ends");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let mut said = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        (status, said)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs it to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    command().args(arguments).output().unwrap()
}

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey-server"));
    command.stderr(Stdio::piped()).env("LATCHKEY_SERVER_LOG", "warn");
    command
}
