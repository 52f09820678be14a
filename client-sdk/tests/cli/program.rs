//! The program as a child process: run to its end, watched while it runs, stopped by a signal, always ended.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use latchkey::vault::Vault;
use latchkey_api::device_list::Role;
use latchkey_signaling::ServerConfig;
use sha2::{Digest, Sha256};
use tokio::sync::{RwLock, RwLockWriteGuard};

use crate::house::{House, LIMIT};

/// A child holds copies of its parent's open files, locks of device folders among them, from its birth until its program
/// begins. So no child is started while this process opens folders itself, and the other way round.
static FOLDERS: RwLock<()> = RwLock::const_new(());

/// A household on a server in this process: the admin `ada`, and these devices.
pub(crate) async fn household(devices: &[(Role, &str)]) -> House {
    let _alone = FOLDERS.write().await;
    let house = House::open().await;
    house.found("ada").await;
    for (role, name) in devices {
        house.add("ada", *role, name).await;
    }
    house
}

/// As [`household`], on a server that speaks HTTPS by a CA of its own; and the CA's file.
pub(crate) async fn household_over_https(
    devices: &[(Role, &str)],
    change: impl FnOnce(&mut ServerConfig),
) -> (House, PathBuf) {
    let _alone = FOLDERS.write().await;
    let (house, ca) = House::open_over_https(change).await;
    house.found("ada").await;
    for (role, name) in devices {
        house.add("ada", *role, name).await;
    }
    (house, ca)
}

/// Keeps children from being started until it is dropped; for threads beside the runtime.
pub(crate) fn no_child_starts() -> RwLockWriteGuard<'static, ()> {
    FOLDERS.blocking_write()
}

/// The same for tasks.
pub(crate) async fn no_child_starts_meanwhile() -> RwLockWriteGuard<'static, ()> {
    FOLDERS.write().await
}

/// Copies what a device keeps into another folder.
pub(crate) fn copy_device(from: &Path, to: &Path) {
    for file in ["device.vault", "device.key"] {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
}

/// Starts a child and returns when its program has begun.
pub(crate) fn start(command: &mut Command) -> Child {
    let _no_folder_is_opened = FOLDERS.blocking_read();
    let started = command.spawn();
    started.unwrap_or_else(|error| {
        panic!("{:?} does not start ({error}): `make test` installs it", command.get_program())
    })
}

/// Runs what starts children by itself.
pub(crate) fn starting<T>(work: impl FnOnce() -> T) -> T {
    let _no_folder_is_opened = FOLDERS.blocking_read();
    work()
}

/// The program on a device's folder, without any setting of whoever runs the tests.
pub(crate) fn latchkey(home: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
    command.arg("--home").arg(home).args(words);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LATCHKEY_")) {
        command.env_remove(name);
    }
    command.env("XDG_CONFIG_HOME", "/nonexistent/settings").env_remove("RUST_LOG");
    // The keyring and the terminal of whoever runs the tests are theirs.
    command.env("LATCHKEY_VAULT", "keyfile");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end, which must come.
pub(crate) fn run(command: &mut Command) -> Output {
    let mut child = start(command);
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let stdout = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        out.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let stderr = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        err.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let status = ended(&mut child).code();
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    let said = String::from_utf8_lossy(&stderr);
    let status = status.unwrap_or_else(|| panic!("{command:?} was ended by a signal: {said}"));
    Output { status: std::os::unix::process::ExitStatusExt::from_raw(status << 8), stdout, stderr }
}

/// Waits for the end of a child; kills it when it does not come.
pub(crate) fn ended(child: &mut Child) -> std::process::ExitStatus {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if began.elapsed() > LIMIT {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the command does not end");
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Runs what must be refused with this code and one sentence; returns the sentence. The device's folder stays as it was.
pub(crate) fn refused_with(code: i32, home: &Path, words: &[&str]) -> String {
    refused_by(code, home, &mut latchkey(home, words))
}

/// As [`refused_with`], with the code for what a person must change.
pub(crate) fn refused(home: &Path, words: &[&str]) -> String {
    refused_with(2, home, words)
}

/// As [`refused_with`], for a command with more to it.
pub(crate) fn refused_by(code: i32, home: &Path, command: &mut Command) -> String {
    let before = Kept::of(home);
    let sentence = refused_beside(code, command);
    before.compare(&Kept::of(home), &format!("{command:?}: {sentence}"));
    sentence
}

/// As [`refused_by`], while another process holds the folder and goes on changing it.
pub(crate) fn refused_beside(code: i32, command: &mut Command) -> String {
    let output = run(command);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{command:?}: {said}");
    assert!(output.stdout.is_empty(), "{command:?} writes to standard output");
    let sentence = one_sentence(&said);
    println!("{code}  {sentence}");
    sentence
}

/// Checks that this is one line for people, and returns it without the program's name.
pub(crate) fn one_sentence(said: &str) -> String {
    assert_eq!(said.lines().count(), 1, "one line: {said:?}");
    let sentence = said.trim_end().strip_prefix("latchkey: ").unwrap_or_else(|| panic!("{said:?}"));
    for machine in ["os error", "panicked", "Error {", "Some(", "\\n", ".rs:"] {
        assert!(!sentence.contains(machine), "{machine:?} in {sentence:?}");
    }
    assert!(sentence.len() < 500, "{} letters: {sentence}", sentence.len());
    sentence.to_owned()
}

/// What is in a device's folder.
struct Kept {
    /// Names and hashes of all files but the lock file, which is empty and no state.
    files: Option<Vec<(PathBuf, Vec<u8>)>>,
    vault: Option<Vault>,
}

impl Kept {
    fn of(home: &Path) -> Self {
        let files = std::fs::read_dir(home).ok().map(|entries| {
            let paths = entries.map(|entry| entry.unwrap().path());
            let paths = paths.filter(|path| path.is_file() && !path.ends_with("device.lock"));
            let mut files: Vec<_> = paths
                .map(|path| (path.clone(), Sha256::digest(std::fs::read(path).unwrap()).to_vec()))
                .collect();
            files.sort();
            files
        });
        Self { files, vault: Vault::look(home).ok() }
    }

    /// Nothing may be lost; the only thing that may come is a newer signed list, read from the server.
    fn compare(&self, after: &Self, what: &str) {
        if self.files == after.files {
            return;
        }
        let (Some(before), Some(after)) = (&self.vault, &after.vault) else {
            panic!("the device's folder was changed: {what}");
        };
        for name in before.names("") {
            assert!(before.record(name) == after.record(name), "{name} was changed: {what}");
        }
        for name in after.names("").filter(|name| before.record(name).is_none()) {
            let of_a_list = name.starts_with("list/") || name.starts_with("list-seen/");
            assert!(of_a_list, "{name} was added: {what}");
        }
    }
}

/// A command that runs until it is told to stop; killed when dropped.
pub(crate) struct Running {
    child: Child,
    out: Receiver<String>,
    err: Receiver<String>,
}

impl Running {
    pub(crate) fn start(home: &Path, words: &[&str]) -> Self {
        let mut child = start(latchkey(home, words).stdin(Stdio::piped()));
        let (out, err) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
        Self { child, out, err }
    }

    /// Writes a line to its standard input and closes it.
    pub(crate) fn answer(&mut self, text: &str) {
        writeln!(self.child.stdin.take().unwrap(), "{text}").unwrap();
    }

    /// Writes a line to its standard input and keeps it open.
    pub(crate) fn tell(&mut self, text: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{text}").unwrap();
    }

    /// Waits for a line of standard output that holds this.
    pub(crate) fn out(&self, wanted: &str) -> String {
        awaited(&self.out, wanted)
    }

    /// Waits for a line of standard error that holds this.
    pub(crate) fn err(&self, wanted: &str) -> String {
        awaited(&self.err, wanted)
    }

    /// Sends a signal and returns the code and what standard error still said.
    pub(crate) fn signal(mut self, name: &str) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        assert!(start(Command::new("kill").args(["-s", name, &id])).wait().unwrap().success());
        let status = ended(&mut self.child);
        (status.code(), self.err.iter().collect::<Vec<_>>().join("\n"))
    }

    /// Waits for its end and returns the code, standard output and standard error as far as they were not read.
    pub(crate) fn end(mut self) -> (Option<i32>, String, String) {
        let status = ended(&mut self.child);
        let all = |lines: &Receiver<String>| lines.iter().collect::<Vec<_>>().join("\n");
        (status.code(), all(&self.out), all(&self.err))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        BufReader::new(from).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    lines
}

fn awaited(lines: &Receiver<String>, wanted: &str) -> String {
    let began = Instant::now();
    let mut said = Vec::new();
    loop {
        match lines.recv_timeout(LIMIT.saturating_sub(began.elapsed())) {
            Ok(line) if line.contains(wanted) => return line,
            Ok(line) => said.push(line),
            Err(_) => panic!("no line with {wanted:?} in\n{}", said.join("\n")),
        }
    }
}

/// An address at which nobody listens.
pub(crate) fn dead_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Runs what waits for processes beside the server's own tasks.
pub(crate) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}
