//! The command line of `latchkey-loadtest`: what it understands, and what each word of it does.

mod compare;
mod measured;
mod output;
mod preflight;
mod report;
mod values;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;

use crate::measure::line::Verdict;
use crate::scenario::shipped::SHIPPED;
use crate::stop;

/// Puts a Latchkey server under load with real clients and real households, and reports whether it copes.
#[derive(Debug, Parser)]
#[command(name = "latchkey-loadtest", version, after_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a scenario and judges it.
    ///
    /// Exit code 0: every assertion holds; 1: one does not; 2: it could not be run; 3: it cannot be told.
    ///
    /// Without --server a fresh server is started on this machine, with its rate limits off and one media thread (--set
    /// server.shards=N), so the answer is for that one. A server with default settings lets only so many devices in a minute: joins wait
    /// for that, unless it is started with higher limits (its flags end in -rate and -burst).
    Run(Box<measured::RunArguments>),
    /// Finds how many viewers a server can handle, by adding viewers until it fails and then narrowing down.
    Breakpoint(Box<measured::BreakpointArguments>),
    /// Gives the same work to a Latchkey server and to another WHIP and WHEP server, in turn, and shows their figures side by side.
    Compare(Box<compare::CompareArguments>),
    /// Makes an HTML page of one or more runs' --json files.
    Report(report::ReportArguments),
    /// Lists the scenarios that come with the program.
    Scenarios,
}

/// Reads the command line; a mistake in it is told, as all others are, and help and version are printed.
///
/// # Errors
/// The exit code, where there is nothing to do.
pub fn read() -> Result<Arguments, ExitCode> {
    Arguments::try_parse().map_err(|error| {
        if !error.use_stderr() {
            // There is nobody else to tell.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        let text = error.render().to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text);
        let _ = write!(std::io::stderr(), "latchkey-loadtest: {text}");
        ExitCode::from(COULD_NOT_RUN)
    })
}

/// Does what the command line says; returns the exit code.
#[must_use]
pub fn run(arguments: Arguments) -> ExitCode {
    let done = match arguments.command {
        Command::Run(arguments) => measured::run(&arguments),
        Command::Breakpoint(arguments) => measured::breakpoint(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Scenarios => list(),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(refused) => {
            // There is nobody else to tell.
            let _ = writeln!(std::io::stderr(), "latchkey-loadtest: {refused:#}");
            ExitCode::from(COULD_NOT_RUN)
        }
    }
}

fn list() -> anyhow::Result<u8> {
    let mut out = std::io::stdout().lock();
    for shipped in SHIPPED {
        let layers = crate::scenario::layers::Layers {
            source: crate::scenario::layers::Source::Shipped(*shipped),
            ..crate::scenario::layers::Layers::default()
        };
        let scenario = layers.resolve()?;
        let steps: Vec<String> = scenario.steps().iter().map(u32::to_string).collect();
        writeln!(out, "{:<18} {} viewers. {}", shipped.name, steps.join(", "), scenario.about)?;
    }
    Ok(0)
}

/// Listens from now on for Ctrl-C and SIGTERM, by which a run ends.
fn listen_for_stop() -> anyhow::Result<CancellationToken> {
    stop::on_signal(ENDING).context("cannot listen for Ctrl-C")
}

/// The exit code for a verdict.
fn code_of(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Pass => 0,
        Verdict::Fail => 1,
        Verdict::Inconclusive => INCONCLUSIVE,
    }
}

/// Exit code where nothing could be measured: a mistake of the caller, or no server.
const COULD_NOT_RUN: u8 = 2;
/// Exit code where it cannot be told.
const INCONCLUSIVE: u8 = 3;

const ENDING: &str =
    "latchkey-loadtest: ending in order, with what was measured so far; Ctrl-C once more ends it at once";

const EXAMPLES: &str = "\
Examples:
  latchkey-loadtest run doorbell-evening
      starts a server on this machine, eight homes and their doorbells, and checks what the scenario asserts
  latchkey-loadtest run one-camera-crowd --viewers 200 --json out.jsonl --html out.html
      up to 200 viewers of one camera, and an HTML report
  latchkey-loadtest run churn --server https://cam.example.org --ops http://10.0.0.5:9600
      the same against a server that runs already, with its own figures from its private ops port
  latchkey-loadtest breakpoint --max-p99 100
      how many viewers can a server on this machine handle?
  latchkey-loadtest compare --with whip=http://h:7080/whip/{id},whep=http://h:7090/whep/{id},name=other
      the same work for ours and for another server, which gets made-up pictures, unsealed
  latchkey-loadtest run my.toml --set camera.fps=15 --set assert.p99_ms=20
      set any key on the command line
  latchkey-loadtest run churn --print-scenario > my.toml
      start your own scenario from a shipped one; the file holds every key";
