//! What went wrong and whose fault it was, and how the run is judged.

use serde::{Deserialize, Serialize};

/// Whose fault something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// The server under load.
    Server,
    /// The machine or program that drives: its figures cannot be held against the server.
    Driver,
    /// One viewer of the fleet.
    Viewer,
    /// The network profile that the scenario asked for.
    Network,
    /// Whoever wrote the scenario or called the command.
    Caller,
}

/// Something went wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultLine {
    /// Seconds since the run began.
    pub at_s: f64,
    /// Whose fault it is.
    pub party: Party,
    /// Stable name, such as `join-refused`, `driver-overloaded`, `server-gone`.
    pub code: String,
    /// What was seen, one sentence.
    pub text: String,
    /// How often.
    pub count: u64,
}

/// How a run is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every assertion holds.
    Pass,
    /// One does not.
    Fail,
    /// It cannot be told: the driver was the limit, or the run was stopped.
    Inconclusive,
}

/// One assertion of the scenario, judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Its name in the scenario, such as `p99_ms`.
    pub name: String,
    /// What it asks for, such as `<= 20`.
    pub asked: String,
    /// What was measured.
    pub measured: f64,
    /// Whether it holds.
    pub holds: bool,
}

/// The last line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerdictLine {
    /// The judgement.
    pub verdict: Verdict,
    /// Viewers that were well served at the end, see [`StepLine::viewers_ok`](super::StepLine::viewers_ok).
    pub viewers_ok: u64,
    /// Packets that never came, percent.
    pub loss_pct: f64,
    /// Frames opened.
    pub opened: u64,
    /// Frames that should have been.
    pub expected: u64,
    /// p99 of the frames' latency, milliseconds.
    pub p99_ms: f64,
    /// The assertions.
    pub checks: Vec<Check>,
    /// What limits it, or why it cannot be told: one sentence.
    pub limit: String,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// `breakpoint` only: the largest number of viewers that was well served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_good: Option<u64>,
    /// `breakpoint` only: the smallest that was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_bad: Option<u64>,
}

impl VerdictLine {
    /// Returns a verdict where nothing was measured.
    #[must_use]
    pub fn on_nothing(verdict: Verdict) -> Self {
        Self {
            verdict,
            viewers_ok: 0,
            loss_pct: 0.0,
            opened: 0,
            expected: 0,
            p99_ms: 0.0,
            checks: Vec::new(),
            limit: String::new(),
            interrupted: false,
            last_good: None,
            first_bad: None,
        }
    }
}
