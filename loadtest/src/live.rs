//! What is shown while a run goes on: bars on a terminal, a line every two seconds elsewhere.

mod words;

use std::io::{IsTerminal as _, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Between two lines where there is no terminal; a little less than twice the time between two snapshots.
const LINE_EVERY: Duration = Duration::from_millis(1900);

/// Letters of a name at most, where bars stand beside it.
const NAME: usize = 20;

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
    /// Frames' latency in the last second, median, milliseconds; 0 where none came.
    pub p50_ms: f64,
    /// p99 of it.
    pub p99_ms: f64,
    /// How long no viewer has seen a picture, where that is a second or longer and somebody watches.
    pub dark: Option<Duration>,
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
pub struct Live(Screen);

enum Screen {
    Bars(Bars),
    Lines(Lines),
    Silent,
}

impl Live {
    /// Shows a run under a name.
    #[must_use]
    pub fn start(name: &str, form: Form) -> Self {
        Self(match form {
            Form::Bars => Screen::Bars(Bars::start(name, ProgressDrawTarget::stderr())),
            Form::Lines => Screen::Lines(Lines::start(name, Box::new(std::io::stderr()))),
            Form::Silent => Screen::Silent,
        })
    }

    /// Shows how far something before the first step has come, such as `enrolling`, 12 of 100 devices.
    pub fn prepare(&mut self, phase: &str, done: u64, of: u64) {
        match &mut self.0 {
            Screen::Bars(bars) => bars.prepare(phase, done, of),
            Screen::Lines(lines) => lines.prepare(phase, done, of),
            Screen::Silent => {}
        }
    }

    /// Shows the state of the run.
    pub fn show(&mut self, snapshot: &Snapshot) {
        match &mut self.0 {
            Screen::Bars(bars) => bars.show(snapshot),
            Screen::Lines(lines) => lines.show(snapshot),
            Screen::Silent => {}
        }
    }

    /// Shows a line that stays, such as a fault.
    pub fn note(&mut self, text: &str) {
        match &mut self.0 {
            Screen::Bars(bars) => bars.note(text),
            Screen::Lines(lines) => lines.tell(text),
            Screen::Silent => {}
        }
    }

    /// Ends the display and leaves the last state on the screen.
    pub fn finish(self) {
        drop(self);
    }
}

/// Bars on a terminal: the step, the viewers, and two lines of figures.
struct Bars {
    all: MultiProgress,
    step: ProgressBar,
    viewers: ProgressBar,
    figures: Option<[ProgressBar; 2]>,
    name: String,
}

impl Bars {
    fn start(name: &str, target: ProgressDrawTarget) -> Self {
        let all = MultiProgress::with_draw_target(target);
        let step = all.add(ProgressBar::new(1).with_style(bar("{prefix:<20.bold} {bar:24} {wide_msg}")));
        step.set_prefix(words::clipped(name, NAME));
        let viewers = all.add(ProgressBar::new(1).with_style(bar("{prefix:<20} {bar:24.green} {wide_msg}")));
        Self { all, step, viewers, figures: None, name: name.to_owned() }
    }

    fn prepare(&mut self, phase: &str, done: u64, of: u64) {
        self.step.set_length(of.max(1));
        self.step.set_position(done);
        self.step.set_message(words::fitting(&format!("{phase} {done} of {of}"), beside_bar()));
        self.viewers.set_prefix("viewers");
    }

    fn show(&mut self, snapshot: &Snapshot) {
        self.step.set_prefix(words::clipped(&self.name, NAME));
        let (passed, whole) = words::passed(snapshot);
        self.step.set_length(whole);
        self.step.set_position(passed);
        self.step.set_message(words::fitting(&words::phase(snapshot), beside_bar()));
        self.viewers.set_prefix("viewers");
        self.viewers.set_length(snapshot.viewers_asked.max(1));
        self.viewers.set_position(snapshot.viewers);
        self.viewers.set_message(words::fitting(&words::joins(snapshot), beside_bar()));
        let all = &self.all;
        let lines = self.figures.get_or_insert_with(|| {
            [0; 2].map(|_| all.add(ProgressBar::new(1).with_style(bar("{wide_msg}"))))
        });
        for (line, told) in lines.iter().zip([words::media(snapshot), words::load(snapshot)]) {
            line.set_message(words::fitting(&told, columns()));
        }
    }

    fn note(&self, text: &str) {
        // A terminal that is gone is no reason to end a run.
        let _ = self.all.println(words::one_line(text));
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        for bar in [&self.step, &self.viewers].into_iter().chain(self.figures.iter().flatten()) {
            bar.abandon();
        }
    }
}

/// A line every two seconds.
struct Lines {
    out: Box<dyn Write + Send>,
    told_at: Option<Duration>,
    told: Option<(String, u64)>,
    untold: Option<Snapshot>,
}

impl Lines {
    fn start(name: &str, out: Box<dyn Write + Send>) -> Self {
        let mut lines = Self { out, told_at: None, told: None, untold: None };
        lines.tell(name);
        lines
    }

    /// Tells every tenth part.
    fn prepare(&mut self, phase: &str, done: u64, of: u64) {
        let tenth = done * 10 / of.max(1);
        if self.told.as_ref().is_none_or(|(before, part)| before != phase || *part != tenth) {
            self.told = Some((phase.to_owned(), tenth));
            self.tell(&format!("{phase} {done} of {of}"));
        }
    }

    fn show(&mut self, snapshot: &Snapshot) {
        let due = self.told_at.is_none_or(|told| snapshot.at >= told + LINE_EVERY);
        if due {
            self.told_at = Some(snapshot.at);
            self.untold = None;
            self.tell(&words::line(snapshot));
        } else {
            self.untold = Some(snapshot.clone());
        }
    }

    fn tell(&mut self, text: &str) {
        // An output that is gone is no reason to end a run.
        let _ = writeln!(self.out, "{}", words::one_line(text)).and_then(|()| self.out.flush());
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if let Some(last) = self.untold.take() {
            self.tell(&words::line(&last));
        }
    }
}

/// Letters of a line on the terminal.
fn columns() -> usize {
    let columns = rustix::termios::tcgetwinsize(std::io::stderr()).map_or(0, |size| usize::from(size.ws_col));
    if columns == 0 { WIDE } else { columns }
}

/// Letters that stand beside a name and its bar.
fn beside_bar() -> usize {
    columns().saturating_sub(NAME + BAR + 2)
}

/// Letters of a line where the terminal does not say.
const WIDE: usize = 80;
/// Letters of a bar.
const BAR: usize = 24;

fn bar(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).expect("the template is written here");
    style.progress_chars("━━╌")
}

#[cfg(test)]
mod tests;
