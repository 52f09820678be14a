//! `run` and `breakpoint`: a scenario is put together, run, told and judged.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use url::Url;

use crate::breakpoint::floor::ratio::Beside;
use crate::breakpoint::{STEADY, Search, floor};
use crate::cli::output::{Output, OutputArguments};
use crate::cli::{COULD_NOT_RUN, INCONCLUSIVE, code_of, listen_for_stop, preflight, values};
use crate::measure::line::VerdictLine;
use crate::run::stage::{Bounds, Plan, Steps};
use crate::run::target::{Running, Target};
use crate::run::{self, Order, RunError};
use crate::scenario::Scenario;
use crate::scenario::layers::{Layers, ScenarioError, Source};
use crate::scenario::units::Span;

/// What `run` is told.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct RunArguments {
    /// A TOML file, or the name of a scenario that comes with the program (see `scenarios`).
    #[arg(value_name = "SCENARIO")]
    scenario: String,
    /// Numbers of viewers to measure one after the other (viewers.steps).
    #[arg(long, value_name = "N,N,...")]
    steps: Option<String>,
    #[command(flatten)]
    shared: Shared,
}

/// What `breakpoint` is told.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct BreakpointArguments {
    /// What cameras send: a TOML file, or the name of a scenario that comes with the program.
    #[arg(value_name = "SCENARIO", default_value = "one-camera-crowd")]
    scenario: String,
    /// Packets that may be lost, percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.5, allow_negative_numbers = true, value_parser = values::percent)]
    max_loss: f64,
    /// p99 of the frames' latency, milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 100.0, allow_negative_numbers = true, value_parser = values::above_zero)]
    max_p99: f64,
    /// Viewers to begin with [default: 25].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    from: Option<u32>,
    /// No more viewers than these.
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    up_to: u32,
    /// First search, in the same way and on the server's processor, how many viewers the kernel floor carries: one thread that
    /// receives, seals and sends and does nothing else. The server is told as a share of it.
    #[arg(long, conflicts_with = "print_scenario")]
    floor: bool,
    #[command(flatten)]
    shared: Shared,
}

/// What all of them are told.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Shared {
    /// Set a key of the scenario, such as camera.fps=15; may be repeated. Networks are a list and stand in a file.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// How many viewers in the last step (viewers.count); the scenario's smaller steps are still run (only this one: --steps N).
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = values::viewers)]
    viewers: Option<u32>,
    /// Time that is measured in each step, in seconds or like 500ms, 2min (phases.steady).
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = values::time)]
    seconds: Option<Span>,
    /// Print the scenario with every key there is, and do nothing else.
    #[arg(long)]
    pub(super) print_scenario: bool,
    /// Put the server at this address under load, such as http://host:9601. Without it a fresh one is started on this machine, with
    /// its rate limits off and one media thread (server.shards): figures hold for that one.
    #[arg(long, value_name = "URL", value_parser = values::server)]
    server: Option<Url>,
    /// The server's private ops port, for its own figures.
    #[arg(long, value_name = "URL", requires = "server", value_parser = values::ops)]
    ops: Option<Url>,
    /// The server's process on this machine, for CPU and memory.
    #[arg(long, value_name = "N", requires = "server")]
    server_pid: Option<u32>,
    /// The server's media port, for the intruders' garbage.
    #[arg(long, value_name = "ADDRESS:PORT", requires = "server")]
    server_media: Option<std::net::SocketAddr>,
    /// A file with the operator's code, where the server registers households by code only.
    #[arg(long, value_name = "FILE", requires = "server")]
    invite_code_file: Option<PathBuf>,
    /// Threads that drive viewers; without it one for each processor of the driver but one.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = values::threads)]
    pub(super) drivers: Option<usize>,
    #[command(flatten)]
    pub(super) output: OutputArguments,
}

pub(super) fn run(arguments: &RunArguments) -> anyhow::Result<u8> {
    let mut named = Vec::new();
    named.extend(arguments.steps.as_ref().map(|steps| ("viewers.steps", steps.clone())));
    let scenario = arguments.shared.scenario(&arguments.scenario, named)?;
    let mut steps = Steps::of(&scenario);
    arguments.shared.measure(scenario, &mut steps)
}

pub(super) fn breakpoint(arguments: &BreakpointArguments) -> anyhow::Result<u8> {
    let mut scenario = arguments.shared.scenario(&arguments.scenario, Vec::new())?;
    let most = arguments.shared.viewers.unwrap_or(arguments.up_to);
    let from = arguments.from.unwrap_or(FROM.min(most));
    anyhow::ensure!(
        from <= most,
        "--from {from} is above --up-to {most}: begin with fewer viewers, or allow more"
    );
    if arguments.shared.seconds.is_none() {
        scenario.phases.steady = Span(STEADY);
    }
    let bounds = Bounds { loss_pct: arguments.max_loss, p99_ms: arguments.max_p99 };
    let mut search = Search::new(&scenario, bounds, from, most);
    scenario.name = "breakpoint".to_owned();
    (scenario.viewers.count, scenario.viewers.steps) = (most, Vec::new());
    if arguments.floor {
        return arguments.shared.beside_floor(scenario, search);
    }
    arguments.shared.measure(scenario, &mut search)
}

impl Shared {
    pub(super) fn scenario(&self, given: &str, named: Vec<(&str, String)>) -> anyhow::Result<Scenario> {
        let mut set = Vec::new();
        for given in &self.set {
            let (key, value) =
                given.split_once('=').ok_or_else(|| ScenarioError::NoValue { given: given.clone() })?;
            set.push((key.trim().to_owned(), value.trim().to_owned()));
        }
        let own = [
            ("viewers.count", self.viewers.map(|viewers| viewers.to_string())),
            ("phases.steady", self.seconds.map(|seconds| seconds.to_string())),
        ];
        set.extend(named.into_iter().map(|(key, value)| (key.to_owned(), value)));
        set.extend(own.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Ok(Layers { source: Source::find(given)?, variables, set }.resolve()?)
    }

    fn measure(&self, scenario: Scenario, plan: &mut dyn Plan) -> anyhow::Result<u8> {
        if self.print_scenario {
            write!(std::io::stdout(), "{}", scenario.to_toml())?;
            return Ok(0);
        }
        let order = Order { scenario, target: self.target()?, drivers: self.drivers };
        if let Err(missing) = preflight::look(&order.scenario, &order.target) {
            Output::cannot_begin(&self.output, &order.scenario, &missing)?;
            return Err(missing.into());
        }
        let stop = listen_for_stop()?;
        let mut output = Output::open(&self.output, &order.scenario.name)?;
        Ok(conclude(&order, run::run(&order, plan, &mut output, &stop), output)?.0)
    }

    /// Measures the kernel floor, then the server, and tells the two beside each other.
    fn beside_floor(&self, scenario: Scenario, search: Search) -> anyhow::Result<u8> {
        let order = Order { scenario, target: self.target()?, drivers: self.drivers };
        if let Err(missing) = preflight::look(&order.scenario, &order.target) {
            Output::cannot_begin(&self.output, &order.scenario, &missing)?;
            return Err(missing.into());
        }
        let stop = listen_for_stop()?;
        let mut output = Output::open(&self.output, &order.scenario.name)?;
        let floor = floor::measure(&order, &mut search.clone(), &mut output, &stop)?;
        let mut plan = Beside::new(search, &floor);
        let verdict = run::run(&order, &mut plan, &mut output, &stop);
        let shows = output.shows_tables();
        let (code, verdict) = conclude(&order, verdict, output)?;
        if let Some(verdict) = verdict.filter(|_| shows) {
            write!(std::io::stdout(), "\n{}", plan.ratio(&verdict).table())?;
        }
        Ok(code)
    }

    pub(super) fn target(&self) -> anyhow::Result<Target> {
        let Some(url) = self.server.clone() else { return Ok(Target::Child) };
        let invite_code = match &self.invite_code_file {
            None => None,
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read the invite code in {}", path.display()))?;
                Some(text.trim().to_owned())
            }
        };
        let (ops, pid, media) = (self.ops.clone(), self.server_pid, self.server_media);
        Ok(Target::Latchkey(Running { url, ops, pid, invite_code, media }))
    }
}

/// Tells how a run ended; returns the exit code and, where there was a run, its verdict.
fn conclude(
    order: &Order,
    ended: Result<VerdictLine, RunError>,
    mut output: Output,
) -> anyhow::Result<(u8, Option<VerdictLine>)> {
    match ended {
        Ok(verdict) => {
            output.finish()?;
            Ok((code_of(verdict.verdict), Some(verdict)))
        }
        Err(RunError::Stopped) => {
            output.refused(&order.scenario, &RunError::Stopped);
            output.finish()?;
            Ok((INCONCLUSIVE, None))
        }
        Err(error) => {
            output.refused(&order.scenario, &error);
            output.without_table().finish()?;
            // There is nobody else to tell.
            let _ = writeln!(std::io::stderr(), "latchkey-loadtest: {error}");
            Ok((COULD_NOT_RUN, None))
        }
    }
}

/// Viewers that a search begins with where nobody says so.
const FROM: u32 = 25;
