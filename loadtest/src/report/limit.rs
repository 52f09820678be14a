//! What limits a run, told from its figures: the driver, the server's processors, its sockets, the network asked for,
//! latency, joins, or nothing that was reached.

mod judge;

use crate::measure::line::{FaultLine, Line, Party, StepLine};
use crate::report::limit::judge::Judge;
use crate::report::run::{Run, split};
use crate::report::served::{broken, deciding};

/// Use of the processors that the server may use, percent, from which on they count as the limit.
pub(crate) const FULL_PCT: f64 = 85.0;
/// Packets that cameras may send more than 2 ms late, percent, before the driver counts as overloaded.
pub(crate) const LATE_PCT: f64 = 5.0;
/// Use of the driver's processors, percent, from which on it counts as overloaded.
pub(crate) const BUSY_PCT: f64 = 90.0;
/// A step's faults are told so soon after its last second, seconds.
const TOLD_AFTER_S: f64 = 0.5;
/// What limits a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The machine or the program that drives.
    Driver,
    /// Frames that should not have opened did not open, or a removed device opened some.
    Frames,
    /// Joins were refused or not answered.
    Joins,
    /// Frames came too late.
    Latency,
    /// Packets were lost, and nothing says where.
    Loss,
    /// Server and driver together used up the machine.
    Machine,
    /// The network profile that the scenario asked for.
    Network,
    /// Nothing was at its limit.
    Nothing,
    /// The server went away.
    ServerGone,
    /// The server's processors.
    ServerCpu,
    /// One busy thread of the server.
    ServerThread,
    /// The server's socket buffers.
    SocketBuffers,
    /// It cannot be told.
    Untold,
}

/// What limits a run, in a word and in a sentence.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Limit {
    /// What it is.
    pub(crate) kind: Kind,
    /// One sentence with the figures it is told from.
    pub(crate) sentence: String,
}

impl Kind {
    /// Returns its name, a few words.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Driver => "The driver",
            Self::Frames => "Frames that did not open",
            Self::Joins => "Failed joins",
            Self::Latency => "Latency",
            Self::Loss => "Packet loss",
            Self::Machine => "The whole machine",
            Self::Network => "The chosen network",
            Self::Nothing => "Nothing yet",
            Self::ServerGone => "The server went away",
            Self::ServerCpu => "Server CPU",
            Self::ServerThread => "One server thread",
            Self::SocketBuffers => "Socket buffers",
            Self::Untold => "Cannot be told",
        }
    }
}

/// Returns the sentence for lines of one run; of several, one sentence each.
pub(crate) fn of(lines: &[Line]) -> String {
    let runs = split(lines);
    match runs.as_slice() {
        [] => untold(None).sentence,
        [run] => find(run).sentence,
        several => {
            let told = several.iter().map(|run| format!("{}: {}", run.name, find(run).sentence));
            told.collect::<Vec<_>>().join("; ")
        }
    }
}

/// Returns what limits a run. A server that went away goes first; then what is the driver's fault, because
/// then nothing else can be told.
pub(crate) fn find(run: &Run<'_>) -> Limit {
    let Some(step) = deciding(run) else {
        return server_gone(run).unwrap_or_else(|| untold(Some(run)));
    };
    let broken = broken(run, step);
    let judge = Judge { run, step, broken };
    server_gone(run)
        .or_else(|| judge.driver())
        .or_else(|| judge.server_cpu())
        .or_else(|| judge.machine())
        .or_else(|| judge.broken())
        .unwrap_or_else(|| judge.nothing())
}

/// What shows that a driver could not do in time what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overload<'a> {
    /// Its processors were full.
    Busy,
    /// Its cameras sent too late.
    Late,
    /// The run said so.
    Told(&'a str),
}

/// Returns what shows that a driver was overloaded in a step; none where it had room.
pub(crate) fn overload<'a>(run: &Run<'a>, step: &StepLine) -> Option<Overload<'a>> {
    if step.driver_cpu_pct >= BUSY_PCT * run.driver_cores(step) as f64 {
        Some(Overload::Busy)
    } else if step.driver_late_pct > LATE_PCT {
        Some(Overload::Late)
    } else {
        let (from, to) = run.time_of(step)?;
        let told = |at_s: f64| at_s >= from && at_s <= to + TOLD_AFTER_S;
        let faults = run.faults.iter().filter(|fault| fault.party == Party::Driver);
        let fault = faults.into_iter().find(|fault| fault.code == "driver-overloaded" && told(fault.at_s))?;
        Some(Overload::Told(&fault.text))
    }
}

/// Returns what there is to tell where no step was measured.
fn untold(run: Option<&Run<'_>>) -> Limit {
    let why =
        run.and_then(|run| run.verdict).map(|verdict| verdict.limit.as_str()).filter(|why| !why.is_empty());
    let sentence = why.unwrap_or("nothing was measured: the run ended before its first step did");
    Limit { kind: Kind::Untold, sentence: sentence.into() }
}

/// Returns the fault that tells how the server went away; none where it stayed.
pub(crate) fn gone<'a>(run: &Run<'a>) -> Option<&'a FaultLine> {
    let mut faults = run.faults.iter().copied();
    faults.find(|fault| fault.party == Party::Server && fault.code == "server-gone")
}

fn server_gone(run: &Run<'_>) -> Option<Limit> {
    Some(Limit { kind: Kind::ServerGone, sentence: gone(run)?.text.clone() })
}
