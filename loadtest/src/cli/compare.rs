//! `compare`: ours and another server do the same work in turn.

use std::io::Write as _;

use crate::cli::measured::Shared;
use crate::cli::output::Output;
use crate::cli::{INCONCLUSIVE, listen_for_stop, preflight};
use crate::compare::foreign::Foreign;
use crate::compare::{self, Comparison, table};

/// What `compare` is told.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct CompareArguments {
    /// What both do: a TOML file, or the name of a scenario that comes with the program. Cameras send made-up pictures.
    #[arg(value_name = "SCENARIO", default_value = "one-camera-crowd")]
    scenario: String,
    /// The other server: whip=URL,whep=URL with {id} for the camera's number, and name=, pid= (on this machine), ops=,
    /// local= (address to send media from), bearer-file=.
    #[arg(long, value_name = "KEY=VALUE,...")]
    with: Foreign,
    /// How often each of them does it.
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: u32,
    /// Put both, in turn, on the first processors (as many as server.shards) and the driver on the others; needs pid=.
    #[arg(long)]
    pin: bool,
    /// Numbers of viewers to measure one after the other (viewers.steps).
    #[arg(long, value_name = "N,N,...")]
    steps: Option<String>,
    #[command(flatten)]
    shared: Shared,
}

pub(super) fn run(arguments: &CompareArguments) -> anyhow::Result<u8> {
    let mut named = Vec::new();
    named.extend(arguments.steps.as_ref().map(|steps| ("viewers.steps", steps.clone())));
    let scenario = compare::work_for_both(&arguments.shared.scenario(&arguments.scenario, named)?)?;
    if arguments.shared.print_scenario {
        write!(std::io::stdout(), "{}", scenario.to_toml())?;
        return Ok(0);
    }
    let ours = arguments.shared.target()?;
    preflight::look(&scenario, &ours)?;
    let stop = listen_for_stop()?;
    let mut output = Output::open(&arguments.shared.output, "compare")?;
    let comparison = Comparison {
        scenario,
        ours,
        theirs: arguments.with.clone(),
        rounds: arguments.rounds,
        pin: arguments.pin,
        drivers: arguments.shared.drivers,
    };
    let compared = compare::compare(&comparison, &mut output, &stop);
    // Lines that were made stay, whatever came after them.
    let shows = output.shows_tables();
    output.without_table().finish()?;
    let compared = compared?;
    if shows {
        let mut out = std::io::stdout().lock();
        let text = table::render(&compared.rows, &compared.ours, &compared.theirs);
        writeln!(
            out,
            "Median of {} rounds (smallest…largest); * where no round of one overlaps the other's.\n",
            comparison.rounds
        )?;
        write!(out, "{text}")?;
    }
    Ok(if compared.interrupted || compared.rests_on_driver() { INCONCLUSIVE } else { 0 })
}
