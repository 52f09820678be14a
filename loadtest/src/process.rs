//! Real processes under the demo and the tests: started in a directory of their own, watched line by line, always ended.

mod starter;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::place::Place;

/// Why a process did not do what was asked of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The program was not built.
    #[error("{} is not there; build it first: cargo build --bins", .0.display())]
    NotBuilt(PathBuf),
    /// The system refused to start it.
    #[error("{name} did not start: {source}")]
    NotStarted {
        /// Which program.
        name: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It ended although it should still run; the end of its log says why.
    #[error("{name} ended by itself; its last words:\n{log}")]
    Ended {
        /// Which program.
        name: String,
        /// The last lines of its standard error.
        log: String,
    },
    /// What was waited for did not come in time.
    #[error("{name} did not say `{wanted}` within {seconds} s; its last words:\n{log}")]
    Silent {
        /// Which program.
        name: String,
        /// What was waited for.
        wanted: String,
        /// The limit in seconds.
        seconds: u64,
        /// The last lines of its standard error.
        log: String,
    },
}

/// A running program; dropped, it is killed and reaped. It is killed, too, when this process ends without that.
pub struct Process {
    name: String,
    child: std::process::Child,
    lines: Receiver<String>,
    log: PathBuf,
}

impl Process {
    /// Starts a program of this workspace; its standard error goes to `<dir>/<name>.log`.
    ///
    /// # Errors
    /// [`ProcessError::NotBuilt`] and [`ProcessError::NotStarted`].
    pub fn start<I, S>(name: &str, program: &str, dir: &Path, args: I) -> Result<Self, ProcessError>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        Self::start_at(&Place::default(), name, program, dir, args, &[])
    }

    /// As [`Process::start`], with variables of the environment beside the inherited ones.
    ///
    /// # Errors
    /// [`ProcessError::NotBuilt`] and [`ProcessError::NotStarted`].
    pub fn start_with<I, S>(
        name: &str,
        program: &str,
        dir: &Path,
        args: I,
        environment: &[(&str, &str)],
    ) -> Result<Self, ProcessError>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        Self::start_at(&Place::default(), name, program, dir, args, environment)
    }

    /// As [`Process::start_with`], somewhere else.
    ///
    /// # Errors
    /// [`ProcessError::NotBuilt`] and [`ProcessError::NotStarted`].
    pub fn start_at<I, S>(
        place: &Place,
        name: &str,
        program: &str,
        dir: &Path,
        args: I,
        environment: &[(&str, &str)],
    ) -> Result<Self, ProcessError>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let path = binary(program)?;
        let failed = |source| ProcessError::NotStarted { name: name.to_owned(), source };
        let log = dir.join(format!("{name}.log"));
        let stderr = std::fs::OpenOptions::new().create(true).append(true).open(&log).map_err(failed)?;
        let mut command = place.command(path);
        command
            .args(args)
            // The keyring of whoever runs this is theirs.
            .env("LATCHKEY_VAULT", "keyfile")
            .envs(environment.iter().copied())
            // Ctrl-C in a terminal is meant for whoever started this process, not for all at once.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr);
        let mut child = starter::start(command).map_err(failed)?;
        let stdout = child.stdout.take().expect("stdout was asked for as a pipe");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { name: name.to_owned(), child, lines, log })
    }

    /// Returns the process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns where its standard error is kept.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Returns the first JSON line of its standard output for which `wanted` gives a value.
    ///
    /// # Errors
    /// [`ProcessError::Ended`] when the program ends first, [`ProcessError::Silent`] after `limit`.
    pub fn wait_for<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut wanted: impl FnMut(&serde_json::Value) -> Option<T>,
    ) -> Result<T, ProcessError> {
        let deadline = Instant::now() + limit;
        loop {
            match self.next_event(deadline.saturating_duration_since(Instant::now())) {
                Ok(Some(event)) => {
                    if let Some(found) = wanted(&event) {
                        return Ok(found);
                    }
                }
                Ok(None) => {
                    return Err(ProcessError::Silent {
                        name: self.name.clone(),
                        wanted: what.to_owned(),
                        seconds: limit.as_secs(),
                        log: self.last_words(),
                    });
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns the next JSON line of its standard output, or none within `limit`.
    ///
    /// # Errors
    /// [`ProcessError::Ended`] when the program closed its output.
    pub fn next_event(&mut self, limit: Duration) -> Result<Option<serde_json::Value>, ProcessError> {
        let deadline = Instant::now() + limit;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    if let Ok(event) = serde_json::from_str(&line) {
                        return Ok(Some(event));
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Ok(None),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(ProcessError::Ended { name: self.name.clone(), log: self.last_words() });
                }
            }
        }
    }

    /// Waits for the program to end by itself and returns its exit code; none when killed by a signal.
    ///
    /// # Errors
    /// [`ProcessError::Silent`] when it still runs after `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<Option<i32>, ProcessError> {
        let deadline = Instant::now() + limit;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Ok(status.code());
            }
            if Instant::now() >= deadline {
                return Err(ProcessError::Silent {
                    name: self.name.clone(),
                    wanted: "its end".to_owned(),
                    seconds: limit.as_secs(),
                    log: self.last_words(),
                });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Returns whether the program has ended.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Asks the program to end (SIGINT, as Ctrl-C does) without waiting for it.
    pub fn interrupt(&self) {
        // One that has just ended cannot be asked any more, which is as good.
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.child),
            rustix::process::Signal::INT,
        );
    }

    /// Kills the program at once (SIGKILL) and reaps it.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Returns the last lines of its standard error.
    #[must_use]
    pub fn last_words(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Kills all programs that this process has started and not ended yet, and lets it start no more.
pub(crate) fn end_all() {
    starter::end();
}

/// Returns the path of a program of this workspace, beside the one that runs.
///
/// # Errors
/// [`ProcessError::NotBuilt`] when it is not there.
pub fn binary(name: &str) -> Result<PathBuf, ProcessError> {
    let here = std::env::current_exe().unwrap_or_default();
    // A test runs in `<target>/<profile>/deps`, a program one folder higher.
    for folder in here.ancestors().skip(1).take(2) {
        let path = folder.join(name);
        if path.is_file() {
            return Ok(path);
        }
    }
    Err(ProcessError::NotBuilt(here.with_file_name(name)))
}
