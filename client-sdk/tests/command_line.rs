//! The command as people use it: from nothing to a picture, and one clear sentence for what cannot be.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod house;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use house::{House, LIMIT, clip};

fn latchkey(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
    command.arg("--home").arg(home).args(args);
    // Settings of whoever runs the tests must not matter.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LATCHKEY_") {
            command.env_remove(name);
        }
    }
    command.env("XDG_CONFIG_HOME", home.join("no-settings")).env_remove("RUST_LOG");
    // The keyring and the terminal of whoever runs the tests are theirs.
    command.env("LATCHKEY_VAULT", "keyfile");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(home: &Path, args: &[&str]) -> Output {
    latchkey(home, args).output().unwrap()
}

/// Runs what must be refused; returns the sentence.
fn refused(home: &Path, args: &[&str]) -> String {
    let output = run(home, args);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
    let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("latchkey: ")).collect();
    assert_eq!(lines.len(), 1, "{args:?}: {said}");
    println!("{}", lines[0]);
    lines[0].to_owned()
}

/// A running command that is ended with the test.
struct Running(Child);

impl Running {
    fn start(mut command: Command) -> Self {
        Self(command.spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_cannot_be_used_is_said_in_one_sentence_with_code_2() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty");
    let sentence = refused(&empty, &["devices"]);
    assert!(sentence.contains("latchkey join"), "{sentence}");
    let sentence = refused(&empty, &["join", "hello"]);
    assert!(sentence.contains("not an invite code"), "{sentence}");
    let sentence = refused(&empty, &["join", "latchkey1-AAAA"]);
    assert!(sentence.contains("cut off"), "{sentence}");
    let sentence = refused(&empty, &["household", "create", "--name", "x"]);
    assert!(sentence.contains("--server"), "{sentence}");
    let sentence = refused(&empty, &["household", "create", "--name", "x", "--server", "cam.example"]);
    assert!(sentence.contains("https://"), "{sentence}");
    assert!(!empty.join("device.vault").exists(), "nothing is left behind");

    let settings = dir.path().join("config.toml");
    std::fs::write(&settings, "hoem = \"x\"\n").unwrap();
    let sentence = refused(&empty, &["--config", settings.to_str().unwrap(), "devices"]);
    assert!(sentence.contains("hoem"), "{sentence}");
    let sentence = refused(&empty, &["--config", "/nowhere/config.toml", "devices"]);
    assert!(sentence.contains("/nowhere/config.toml"), "{sentence}");
    let sentence = refused(&empty, &["--log", "[[", "devices"]);
    assert!(sentence.contains("log filter"), "{sentence}");
}

#[test]
fn a_server_that_is_not_there_is_said_with_code_1() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("ada");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = format!("http://127.0.0.1:{port}");
    let output = run(&home, &["household", "create", "--name", "Ada", "--server", &server]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("127.0.0.1:{port}")) && said.contains("check the address"), "{said}");
    assert!(!home.join("device.vault").exists(), "nothing is left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_that_cannot_be_sent_are_refused_before_anything_is_sent() {
    let house = House::open().await;
    house.found("ada").await;
    house.add("ada", latchkey_api::device_list::Role::Camera, "door").await;
    let home = house.home("door");
    tokio::task::spawn_blocking(move || {
        let sentence = refused(&home, &["camera"]);
        assert!(sentence.contains("--source"), "{sentence}");
        let sentence = refused(&home, &["camera", "--source", "/nowhere/clip.mp4"]);
        assert!(sentence.contains("/nowhere/clip.mp4"), "{sentence}");
        let sentence = refused(&home, &["camera", "--source", "rtsp://u:secret@cam/s"]);
        assert!(sentence.contains("--source-password-file") && !sentence.contains("secret@"), "{sentence}");
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let sentence = refused(&home, &["camera", "--source", &format!("rtsp://127.0.0.1:{port}/s")]);
        assert!(sentence.contains(&port.to_string()), "{sentence}");
        let sentence = refused(&home, &["view", "door", "--out", "/nowhere/x.h264"]);
        assert!(sentence.contains("/nowhere/x.h264"), "{sentence}");
        let text = home.join("note.txt");
        std::fs::write(&text, "no clip").unwrap();
        let sentence = refused(&home, &["camera", "--source", text.to_str().unwrap()]);
        assert!(sentence.contains("note.txt"), "{sentence}");
    })
    .await
    .unwrap();
    let ada = house.home("ada");
    tokio::task::spawn_blocking(move || {
        let sentence = refused(&ada, &["view", "nobody"]);
        assert!(sentence.contains("there is door"), "{sentence}");
        let sentence = refused(&ada, &["camera", "--source", clip().to_str().unwrap()]);
        assert!(sentence.contains("not a camera"), "{sentence}");
    })
    .await
    .unwrap();
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_nothing_to_a_picture() {
    let house = House::open().await;
    let (ada, door, url) = (house.home("ada"), house.home("door"), house.url().to_owned());
    let out = house.home("picture.h264");
    tokio::task::spawn_blocking(move || {
        let created = run(&ada, &["household", "create", "--server", &url, "--name", "Ada"]);
        let said = String::from_utf8(created.stdout).unwrap();
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
        let words = said.lines().find(|line| line.starts_with("    ")).unwrap();
        assert_eq!(words.split_whitespace().count(), 12, "{said}");
        let again = refused(&ada, &["household", "create", "--server", &url, "--name", "Ada"]);
        assert!(again.contains("already holds a device"), "{again}");

        let mut invite =
            Running::start(latchkey(&ada, &["invite", "--role", "camera", "--name", "Front door"]));
        let mut code = String::new();
        BufReader::new(invite.0.stdout.take().unwrap()).read_line(&mut code).unwrap();
        assert!(code.starts_with("latchkey1-"), "{code}");
        let mut join = latchkey(&door, &["join", "-"]);
        join.stdin(Stdio::piped());
        let mut joining = join.spawn().unwrap();
        joining.stdin.take().unwrap().write_all(code.as_bytes()).unwrap();
        let joined = joining.wait_with_output().unwrap();
        assert!(joined.status.success(), "{}", String::from_utf8_lossy(&joined.stderr));
        assert!(wait(&mut invite.0).success());
        let used = refused(&house_free(&door), &["join", code.trim()]);
        assert!(used.contains("used already"), "{used}");

        let _camera = Running::start(latchkey(&door, &["camera", "--source", clip().to_str().unwrap()]));
        let viewed =
            run(&ada, &["--json", "view", "Front door", "--out", out.to_str().unwrap(), "--frames", "30"]);
        let events = String::from_utf8(viewed.stdout).unwrap();
        assert!(viewed.status.success(), "{events}{}", String::from_utf8_lossy(&viewed.stderr));
        let first = events.lines().find(|line| line.contains("first_frame_opened")).unwrap();
        println!("{first}");
        assert!(events.lines().all(|line| line.starts_with("{\"event\":")), "{events}");
        let picture = std::fs::read(&out).unwrap();
        assert_eq!(picture[..5], [0, 0, 0, 1, 0x67], "it begins with parameter sets");

        let devices = run(&ada, &["devices"]);
        let table = String::from_utf8(devices.stdout).unwrap();
        println!("{table}");
        assert!(table.contains("Front door") && table.contains("live") && table.contains("(this device)"));
        let busy = refused(&door, &["camera", "--source", clip().to_str().unwrap()]);
        assert!(busy.contains("in use by another latchkey process"), "{busy}");
        let doctor = run(&ada, &["doctor"]);
        let told = String::from_utf8(doctor.stdout).unwrap();
        println!("{told}");
        assert!(doctor.status.success(), "{told}");
        assert!(told.contains("first frame") && !told.contains("FAIL"), "{told}");
    })
    .await
    .unwrap();
    house.close().await;
}

/// A folder beside `home` that nobody has used.
fn house_free(home: &Path) -> std::path::PathBuf {
    home.with_file_name("late")
}

fn wait(child: &mut Child) -> std::process::ExitStatus {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(began.elapsed() < LIMIT, "the command does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}
