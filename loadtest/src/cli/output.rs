//! Where a run's lines go: the JSON file, the display, the page, and the table at the end.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::cli::preflight::Missing;
use crate::live::{Form, Live, Snapshot};
use crate::measure::line::{FaultLine, Line, Party, RunLine, VerdictLine};
use crate::report::page;
use crate::report::table::{self, Look};
use crate::run::{RunError, Witness, could_not_run, court};
use crate::scenario::Scenario;

/// Where lines go.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct OutputArguments {
    /// Write every line of the run as JSON to this file; - is standard output. The last line is the verdict.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the report as one HTML page that needs nothing else.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Show nothing while it runs, and at the end one line with the verdict instead of the tables.
    #[arg(long)]
    quiet: bool,
}

/// What stands on standard output at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The tables, and the verdict below them.
    Tables,
    /// One line for each run.
    Verdict,
    /// Nothing.
    Nothing,
}

/// Writes and shows what a run tells.
pub(super) struct Output {
    lines: Vec<Line>,
    json: Option<Box<dyn Write>>,
    /// The first thing that went wrong with the JSON file.
    broken: Option<std::io::Error>,
    html: Option<PathBuf>,
    live: Option<Live>,
    /// Whether each step is told as soon as it is over.
    trials: bool,
    /// What is wanted on standard output at the end.
    end: End,
}

impl Output {
    /// Opens the files, so that a path that cannot be is refused before anything runs.
    pub(super) fn open(arguments: &OutputArguments, name: &str) -> anyhow::Result<Self> {
        let to_stdout = arguments.json.as_deref() == Some(Path::new("-"));
        let json: Option<Box<dyn Write>> = match &arguments.json {
            None => None,
            Some(_) if to_stdout => Some(Box::new(std::io::stdout())),
            Some(path) => Some(Box::new(BufWriter::new(create(path)?))),
        };
        if let Some(path) = &arguments.html {
            create(path)?;
        }
        let form = if arguments.quiet { Form::Silent } else { Form::for_stderr() };
        Ok(Self {
            lines: Vec::new(),
            json,
            broken: None,
            html: arguments.html.clone(),
            live: Some(Live::start(name, form)),
            trials: name == "breakpoint",
            end: match (to_stdout, arguments.quiet) {
                (true, _) => End::Nothing,
                (false, true) => End::Verdict,
                (false, false) => End::Tables,
            },
        })
    }

    /// Returns whether tables are wanted on standard output.
    pub(super) fn shows_tables(&self) -> bool {
        self.end == End::Tables
    }

    /// Leaves the runs' own tables and verdicts out.
    pub(super) fn without_table(mut self) -> Self {
        self.end = End::Nothing;
        self
    }

    /// Tells files, where some are asked for, that there was no use in starting.
    pub(super) fn cannot_begin(
        arguments: &OutputArguments,
        scenario: &Scenario,
        missing: &Missing,
    ) -> anyhow::Result<()> {
        let mut output = Self::open(&OutputArguments { quiet: true, ..arguments.clone() }, &scenario.name)?
            .without_table();
        let text = missing.to_string();
        let verdict = court::could_not_run(&text, false);
        output.no_run(scenario, (Party::Caller, missing.code(), text), verdict);
        output.finish().map(|_| ())
    }

    /// Tells that the run could not begin.
    pub(super) fn refused(&mut self, scenario: &Scenario, error: &RunError) {
        let fault = (error.party(), error.code(), error.to_string());
        self.no_run(scenario, fault, could_not_run(error));
    }

    fn no_run(&mut self, scenario: &Scenario, fault: (Party, &str, String), verdict: VerdictLine) {
        let run = RunLine {
            scenario: scenario.name.clone(),
            about: scenario.about.clone(),
            viewers: u64::from(scenario.most_viewers()),
            ..RunLine::default()
        };
        self.write(Line::Run(Box::new(run)));
        let (party, code, text) = fault;
        self.write(Line::Fault(FaultLine { at_s: 0.0, party, code: code.to_owned(), text, count: 1 }));
        self.write(Line::Verdict(Box::new(verdict)));
    }

    /// Ends the display, writes the page and prints the tables.
    pub(super) fn finish(mut self) -> anyhow::Result<Vec<Line>> {
        if let Some(live) = self.live.take() {
            live.finish();
        }
        if let Some(json) = &mut self.json {
            json.flush().context("cannot write the --json file")?;
        }
        if let Some(error) = self.broken {
            return Err(error).context("cannot write the --json file");
        }
        if let Some(path) = &self.html {
            let page = page::html(std::slice::from_ref(&self.lines));
            std::fs::write(path, page).with_context(|| format!("cannot write {}", path.display()))?;
        }
        let mut out = std::io::stdout().lock();
        match self.end {
            End::Tables => write!(out, "{}", table::verdict(&self.lines, Look::for_stdout()))?,
            End::Verdict => write!(out, "{}", table::headline(&self.lines, Look::for_stdout()))?,
            End::Nothing => {}
        }
        Ok(self.lines)
    }

    fn write(&mut self, line: Line) {
        if let Some(json) = &mut self.json {
            // Each line is there as soon as it is made, for whoever follows the file.
            let written = writeln!(json, "{}", line.to_json()).and_then(|()| json.flush());
            if let Err(error) = written {
                self.broken.get_or_insert(error);
            }
        }
        self.lines.push(line);
    }
}

impl Witness for Output {
    fn line(&mut self, line: &Line) {
        if let (Line::Fault(fault), Some(live)) = (line, &mut self.live) {
            let times = if fault.count > 1 { format!(" ({} times)", fault.count) } else { String::new() };
            live.note(&format!("{}: {}{times}", fault.code, fault.text));
        }
        if let (Line::Step(step), Some(live), true) = (line, &mut self.live, self.trials) {
            live.note(&format!(
                "{:>6} viewers   lost {:>6.3} %   p99 {:>7.1} ms   {:>6.1} Mbit/s out",
                step.viewers, step.loss_pct, step.frame_latency.p99_ms, step.mbit_out
            ));
        }
        self.write(line.clone());
    }

    fn prepare(&mut self, phase: &str, done: u64, of: u64) {
        if let Some(live) = &mut self.live {
            live.prepare(phase, done, of);
        }
    }

    fn show(&mut self, snapshot: &Snapshot) {
        if let Some(live) = &mut self.live {
            live.show(snapshot);
        }
    }
}

fn create(path: &Path) -> anyhow::Result<File> {
    File::create(path).with_context(|| format!("cannot write {}", path.display()))
}
