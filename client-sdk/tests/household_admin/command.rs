//! The program as people run it, and what it says.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Runs the program to its end with this on its standard input.
pub(crate) async fn run_with(home: &Path, args: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
    command.arg("--home").arg(home).args(args);
    // Settings of whoever runs the tests must not matter.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LATCHKEY_") {
            command.env_remove(name);
        }
    }
    command.env("XDG_CONFIG_HOME", home.join("no-settings")).env_remove("RUST_LOG");
    command.env("LATCHKEY_VAULT", "keyfile");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let input = input.to_owned();
    tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        // Who refuses at once does not read.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    })
    .await
    .unwrap()
}

/// Runs what must go well; returns both outputs.
pub(crate) async fn said(home: &Path, args: &[&str]) -> String {
    let output = run_with(home, args, "").await;
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{args:?}\n{text}");
    assert_eq!(output.status.code(), Some(0), "{args:?}: {text}");
    text
}

/// Runs what must go well with `--json`; returns its lines.
pub(crate) async fn objects(home: &Path, args: &[&str]) -> Vec<Value> {
    let output = run_with(home, &[&["--json"], args].concat(), "").await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{args:?}: {said}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Runs what must be refused with this exit code; returns the sentence.
pub(crate) async fn refused(home: &Path, args: &[&str], input: &str, code: i32) -> String {
    let output = run_with(home, args, input).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("latchkey: ")).collect();
    assert_eq!(lines.len(), 1, "{args:?}: {said}");
    println!("{}", lines[0]);
    lines[0].to_owned()
}
