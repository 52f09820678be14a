//! A run: cameras and viewers come, stay, go, and are counted, as a scenario says.
//!
//! ```text
//!   Target ─▶ Stand (the server) ─▶ Crew, Entrance ─▶ Cameras ─▶ ┌ Plan: next stage ─▶ Schedule: who joins, leaves now ┐ ─▶ verdict
//!                                                                └ Cast, Viewers, removals ─▶ cut a second ─▶ Account ─┘
//! ```

pub(crate) mod account;
pub mod cast;
mod conduct;
pub(crate) mod court;
pub(crate) mod entrance;
pub mod faults;
mod fleets;
mod knock;
pub(crate) mod opening;
pub mod schedule;
pub mod stage;
pub mod target;
mod vigil;

use std::io;
use std::path::PathBuf;

use latchkey_relay_floor::cores::TooFewFiles;
use tokio_util::sync::CancellationToken;

use crate::crew::CrewError;
use crate::door::DoorError;
use crate::live::Snapshot;
use crate::measure::line::{Line, Party, VerdictLine};
use crate::process::ProcessError;
use crate::run::stage::Plan;
use crate::run::target::Target;
use crate::scenario::Scenario;

/// What is to be run, and against what.
#[derive(Clone, Debug)]
pub struct Order {
    /// What happens.
    pub scenario: Scenario,
    /// What is under load.
    pub target: Target,
    /// Threads that drive viewers; none: one for each of the driver's processors but one, at least one.
    pub drivers: Option<usize>,
}

/// Whoever wants to know how a run goes while it goes.
pub trait Witness {
    /// A line was made. The first is the run's, the last its verdict.
    fn line(&mut self, line: &Line);
    /// Something before the first step has come so far.
    fn prepare(&mut self, phase: &str, done: u64, of: u64);
    /// The state of the run, about once a second.
    fn show(&mut self, snapshot: &Snapshot);
}

/// Runs an order to its end, or until `stop`; returns the verdict, which was the last line, too. Blocks, and lets the calling
/// thread run on the driver's processors only.
///
/// # Errors
/// [`RunError`] where there is nothing to measure: no server, no households, no camera. Then no line was made.
pub fn run(
    order: &Order,
    plan: &mut dyn Plan,
    witness: &mut dyn Witness,
    stop: &CancellationToken,
) -> Result<VerdictLine, RunError> {
    conduct::conduct(order, plan, witness, stop)
}

/// Why a run did not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The child is not built, or does not start.
    #[error("no server could be started: {0}")]
    NoServer(#[from] ProcessError),
    /// The households could not be founded.
    #[error("the households could not be founded: {0}")]
    NoHouseholds(#[from] CrewError),
    /// No HTTP client.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// A camera did not get in.
    #[error("camera {number} cannot send: {reason}")]
    NoCamera {
        /// Its number.
        number: u32,
        /// Why.
        reason: String,
        /// Whose fault it is.
        party: Party,
    },
    /// A clip cannot be read.
    #[error("the clip {} cannot be sent: {reason}", path.display())]
    Clip {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A foreign server takes more than one camera only where its addresses tell them apart.
    #[error("{cameras} cameras need addresses that tell them apart: put {{id}} into whip= and whep=")]
    OneAddress {
        /// Cameras that were asked for.
        cameras: u32,
    },
    /// This process may not have as many sockets as there are viewers.
    #[error(transparent)]
    TooFewFiles(#[from] TooFewFiles),
    /// The system gives no threads, files or processors.
    #[error("this machine cannot drive the run: {0}")]
    Driver(#[from] io::Error),
    /// It was stopped before anything was measured.
    #[error("stopped before the first figure")]
    Stopped,
}

impl RunError {
    /// Whose fault it is.
    #[must_use]
    pub fn party(&self) -> Party {
        match self {
            Self::NoHouseholds(CrewError::Unreachable { .. }) | Self::Stopped => Party::Caller,
            Self::NoHouseholds(error) => error.party(),
            Self::NoCamera { party, .. } => *party,
            Self::Clip { .. } | Self::OneAddress { .. } | Self::NoServer(_) => Party::Caller,
            Self::Door(_) | Self::TooFewFiles(_) | Self::Driver(_) => Party::Driver,
        }
    }

    /// Its stable name.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoServer(_) => "server-not-started",
            Self::NoHouseholds(CrewError::Unreachable { .. }) => "server-not-there",
            Self::NoHouseholds(_) => "no-households",
            Self::NoCamera { .. } => "no-camera",
            Self::Clip { .. } => "no-clip",
            Self::OneAddress { .. } => "one-address",
            Self::Door(_) | Self::TooFewFiles(_) | Self::Driver(_) => "driver-too-small",
            Self::Stopped => "stopped",
        }
    }
}

/// Returns the verdict on a run that did not begin: it cannot be told, and why.
#[must_use]
pub fn could_not_run(error: &RunError) -> VerdictLine {
    court::could_not_run(&error.to_string(), matches!(error, RunError::Stopped))
}
