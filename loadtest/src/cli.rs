//! The command line of `latchkey-loadtest`: what it understands, and what each word of it does.

mod compare;
mod measured;
mod output;
mod report;
mod stop;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::measure::line::Verdict;
use crate::scenario::shipped::SHIPPED;

/// Puts a Latchkey server under load with real clients and real households, and says whether it holds.
#[derive(Debug, Parser)]
#[command(name = "latchkey-loadtest", version, after_help = EXAMPLES)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a scenario and judges it: exit code 0 when every assertion holds, 1 when one does not, 2 when it could not be run, 3
    /// when it cannot be told.
    Run(Box<measured::RunArguments>),
    /// Finds how many viewers a server carries: more and more until it is too much, then in halves between.
    Breakpoint(Box<measured::BreakpointArguments>),
    /// Gives the same work to another WHIP and WHEP server, in turn with ours, and sets their figures side by side.
    Compare(Box<compare::CompareArguments>),
    /// Makes a page of one or more runs' --json files.
    Report(report::ReportArguments),
    /// Lists the scenarios that come with the program.
    Scenarios,
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

const EXAMPLES: &str = "\
Examples:
  latchkey-loadtest run doorbell-evening
      starts a server on this machine, eight homes and their doorbells, and judges what came of it
  latchkey-loadtest run one-camera-crowd --viewers 200 --json out.jsonl --html out.html
      200 viewers of one camera, with a page to show around
  latchkey-loadtest run churn --server https://cam.example.org --ops http://10.0.0.5:9600
      the same against a server that runs already, with its own figures from its private ops port
  latchkey-loadtest breakpoint --max-p99 100
      how many viewers can this machine carry?
  latchkey-loadtest compare --with whip=http://h:7080/whip/{id},whep=http://h:7090/whep/{id},name=other
      the same work for ours and for another server, which gets made-up pictures, unsealed
  latchkey-loadtest run my.toml --set camera.fps=15 --set assert.p99_ms=20
      any key of a scenario, said on the command line
  latchkey-loadtest run churn --print-scenario > my.toml
      a scenario of your own to begin with, with every key there is";
