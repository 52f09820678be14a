//! Ours and a server that nobody here wrote do the same work in turn; docs/compare.md says how to get it.
//!
//! Runs where `LATCHKEY_JANUS` names the folder with its parts, and says in one line what is missing elsewhere.
#![allow(clippy::print_stdout)] // the table is for whoever runs it
#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use latchkey_loadtest::compare::foreign::Foreign;
use latchkey_loadtest::compare::table::{self, Row, Spread};
use latchkey_loadtest::compare::{Comparison, compare};
use latchkey_loadtest::live::Snapshot;
use latchkey_loadtest::measure::line::Line;
use latchkey_loadtest::run::Witness;
use latchkey_loadtest::run::target::Target;
use latchkey_loadtest::scenario::Scenario;
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(30);
const VIEWERS: u32 = 5;

#[test]
fn two_servers_do_the_same_work() {
    let folder = match installed() {
        Ok(folder) => folder,
        Err(missing) => {
            println!("not compared with another server: {missing} (loadtest/docs/compare.md)");
            return;
        }
    };
    let janus = Janus::start(&folder);
    let mut scenario = Scenario::default();
    "compare".clone_into(&mut scenario.name);
    "synthetic".clone_into(&mut scenario.camera.clip);
    (scenario.households.count, scenario.households.cameras, scenario.households.members) = (1, 1, 2);
    (scenario.viewers.count, scenario.viewers.steps, scenario.viewers.opens_one_in) =
        (VIEWERS, Vec::new(), 1);
    scenario.phases.ramp.0 = Duration::from_secs(1);
    scenario.phases.settle.0 = Duration::from_secs(1);
    scenario.phases.steady.0 = Duration::from_secs(3);
    let comparison = Comparison {
        scenario,
        ours: Target::Child,
        theirs: janus.foreign.clone(),
        rounds: 2,
        pin: false,
        drivers: Some(1),
    };
    let mut heard = Heard::default();
    let compared = compare(&comparison, &mut heard, &CancellationToken::new()).unwrap();
    println!("{}", table::render(&compared.rows, &compared.ours, &compared.theirs));

    assert_eq!(compared.theirs, "Janus");
    assert!(compared.ours.starts_with("latchkey-server"), "{}", compared.ours);
    // In turn, and sealed for ours only.
    let turns: Vec<(&str, bool)> =
        heard.runs.iter().map(|(server, sealed)| (server.as_str(), *sealed)).collect();
    let (ours, theirs) = ((compared.ours.as_str(), true), ("Janus", false));
    assert_eq!(turns, [ours, theirs, ours, theirs]);

    let row = |name: &str| -> (Spread, Spread) {
        let row: &Row = compared.rows.iter().find(|row| row.figure == name).unwrap();
        assert_eq!(row.viewers, u64::from(VIEWERS));
        (
            row.ours.unwrap_or_else(|| panic!("ours has no {name}")),
            row.theirs.unwrap_or_else(|| panic!("theirs has no {name}")),
        )
    };
    let (ours, theirs) = row("received, Mbit/s");
    let wanted = 2.64 * f64::from(VIEWERS);
    for spread in [ours, theirs] {
        // Ours carries an envelope more; headers come on top of both.
        assert!((wanted * 0.9..wanted * 1.2).contains(&spread.median), "{spread:?} of {wanted}");
    }
    let (ours, theirs) = row("frames that came, %");
    assert!(ours.least > 98.0 && theirs.least > 98.0, "{ours:?} {theirs:?}");
    let (ours, theirs) = row("frame latency p50, ms");
    assert!(ours.median > 0.0 && theirs.median > 0.0, "both stamps were read: {ours:?} {theirs:?}");
    let (ours, theirs) = row("CPU per packet, µs");
    assert!(ours.median > 0.0 && theirs.median > 0.0, "{ours:?} {theirs:?}");
}

/// What was told, as far as it is of interest.
#[derive(Default)]
struct Heard {
    /// Server and whether frames were sealed, run after run.
    runs: Vec<(String, bool)>,
}

impl Witness for Heard {
    fn line(&mut self, line: &Line) {
        match line {
            Line::Run(run) => self.runs.push((run.server.clone(), run.sealed)),
            Line::Fault(fault) => println!("{fault:?}"),
            _ => {}
        }
    }

    fn prepare(&mut self, _: &str, _: u64, _: u64) {}
    fn show(&mut self, _: &Snapshot) {}
}

/// Returns the folder of the other server's parts, or what is missing.
fn installed() -> Result<PathBuf, String> {
    let folder = std::env::var_os("LATCHKEY_JANUS").map(PathBuf::from);
    let folder = folder.ok_or("LATCHKEY_JANUS names no folder with its WHIP and WHEP servers")?;
    // Relative to the root of the workspace, where make runs.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    for part in ["debian/usr/share/simple-whip-server/node_modules", "npm/node_modules/janus-whep-server"] {
        if !folder.join(part).is_dir() {
            return Err(format!("{} is not there", folder.join(part).display()));
        }
    }
    for (program, version) in [("janus", "--version"), ("node", "--version")] {
        let ran = Command::new(program).arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if ran.is_err() {
            return Err(format!("`{program}` is not installed"));
        }
    }
    Ok(folder)
}

/// Janus with its two servers; ended when dropped.
struct Janus {
    child: Child,
    /// Closed, all of it ends.
    input: Option<ChildStdin>,
    foreign: Foreign,
}

impl Janus {
    fn start(folder: &Path) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/compare/janus.mjs");
        let mut child = Command::new("node")
            .arg(script)
            .arg(folder)
            .args(["1", "1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        let (sender, ready) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Ok(said) = serde_json::from_str::<serde_json::Value>(&line) {
                    let _ = sender.send(said);
                }
            }
        });
        let said = ready.recv_timeout(LIMIT).expect("Janus is ready within 30 s");
        let part = |name: &str| said[name].as_str().unwrap().to_owned();
        let (whip, whep, local, pid) = (part("whip"), part("whep"), part("local"), &said["pid"]);
        let with = format!("whip={whip},whep={whep},local={local},pid={pid},name=Janus");
        Self { child, input, foreign: with.parse().unwrap() }
    }
}

impl Drop for Janus {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
