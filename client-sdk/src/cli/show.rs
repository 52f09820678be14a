//! What a running command shows: JSON lines for programs, a few lines and a live one for people.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use latchkey_api::problem::ProblemCode;
use latchkey_household::event::Event;
use latchkey_household::stats::{CameraStats, ViewerStats};
use latchkey_household::story::{Step, Story};
use serde::Serialize;
use tokio::sync::broadcast::{self, error::TryRecvError};

use crate::cli::failure::plain;

/// Where JSON lines go. Media on standard output moves them to standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lines {
    Stdout,
    Stderr,
}

/// Shows events.
pub(super) struct Show {
    json: bool,
    lines: Lines,
    /// The live line, on a terminal only.
    bar: Option<ProgressBar>,
    last_figures: Option<Instant>,
    /// The last figures that only the live line showed.
    unsaid: Option<String>,
}

impl Show {
    pub(super) fn new(json: bool, lines: Lines) -> Self {
        let bar = (!json && std::io::stderr().is_terminal()).then(live_line);
        Self { json, lines, bar, last_figures: None, unsaid: None }
    }

    /// Shows what is going on now where there is a live line, and nowhere else.
    pub(super) fn doing(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.to_owned());
        }
    }

    /// Writes to standard output: the line for people, or the object for programs.
    pub(super) fn print(&self, object: &impl Serialize, line: &str) {
        if self.json {
            return self.object(object);
        }
        let write = || {
            // A reader that has gone is no reason to stop.
            let _ = writeln!(std::io::stdout(), "{line}");
        };
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Says something to a person. Programs do not get it.
    pub(super) fn say(&self, text: &str) {
        if self.json {
            return;
        }
        match &self.bar {
            Some(bar) => bar.println(text),
            None => {
                let _ = writeln!(std::io::stderr(), "{text}");
            }
        }
    }

    /// Says what must not be overlooked: red on a terminal.
    fn alarm(&self, text: &str) {
        if self.bar.is_some() && std::env::var_os("NO_COLOR").is_none() {
            self.say(&format!("\u{1b}[31m{text}\u{1b}[0m"));
        } else {
            self.say(text);
        }
    }

    /// Gives an object to a program. People do not get it.
    pub(super) fn object(&self, object: &impl Serialize) {
        if !self.json {
            return;
        }
        let Ok(line) = serde_json::to_string(object) else { return };
        let _ = match self.lines {
            Lines::Stdout => writeln!(std::io::stdout(), "{line}"),
            Lines::Stderr => writeln!(std::io::stderr(), "{line}"),
        };
    }

    /// Shows an event to whoever there is.
    pub(super) fn event(&mut self, event: &Event) {
        self.object(event);
        if self.json {
            return;
        }
        match event {
            Event::Step { step, ms } => self.say(&format!("{ms:>6} ms  {}", step.title())),
            Event::Trying { step, reason } => {
                self.say(&format!("  waiting  {}: {}", step.title(), plain(reason)));
            }
            Event::Reconnecting { reason } => self.say(&format!("reconnect  {}", plain(reason))),
            Event::NewEpoch { epoch, members } => {
                let devices = if *members == 1 { "device" } else { "devices" };
                self.say(&format!("new epoch  {epoch}, held by {members} {devices}"));
            }
            Event::SealingStopped { reason } => self.say(&format!("  stopped  {}", plain(reason))),
            Event::SealingGoesOn => self.say("  sealing  goes on"),
            Event::Stats(stats) => self.figures(&viewer_line(stats)),
            Event::Sending(stats) => self.figures(&camera_line(stats)),
            Event::Note { text } => self.say(&format!("     note  {}", plain(text))),
            Event::Notice(notice) => self.say(&format!("   notice  {}", plain(&notice.text))),
            Event::Alarm(alarm) => {
                self.alarm(&format!("    ALARM  {} ({})", plain(&alarm.to_string()), alarm.code()));
            }
            Event::EpochRecord { epoch, list } => {
                self.say(&format!("   record  epoch {epoch} on device list {list}, signed by the camera"));
            }
            Event::Watching { devices } => {
                let names: Vec<_> = devices.iter().map(|watcher| plain(&watcher.name)).collect();
                let names = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
                self.say(&format!(" watching  {names}"));
            }
            Event::Ended { reason } => {
                if let Some(figures) = self.unsaid.take() {
                    self.say(&figures);
                }
                self.say(&format!("    ended  {}", plain(reason)));
            }
            // What the story and the figures show too.
            _ => {}
        }
    }

    /// Shows what was told before the end and not shown yet: the end may be seen before the events that led to it.
    pub(super) fn rest(&mut self, events: &mut broadcast::Receiver<Event>) {
        loop {
            match events.try_recv() {
                Ok(event) => self.event(&event),
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    /// Takes the live line away.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn figures(&mut self, line: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(line.to_owned());
            self.unsaid = Some(line.to_owned());
            return;
        }
        let now = Instant::now();
        if self.last_figures.is_none_or(|last| now.duration_since(last) >= FIGURES_EVERY) {
            self.last_figures = Some(now);
            self.say(line);
        }
    }
}

/// Returns what to do when a step does not come about, unless the reason says it already.
pub(super) fn what_to_do(step: Step, reason: &str) -> Option<&'static str> {
    if reason.ends_with(&format!("({})", ProblemCode::SignInFailed.as_str())) {
        return Some(
            "this device was removed from the household, or is not on its list: ask an admin for a new invite and join with a new --home",
        );
    }
    if reason.contains(": check ") {
        return None;
    }
    let advice = step.advice();
    // What the reason has said is not said again.
    let said = advice.split_once(": ").filter(|(fact, _)| reason.starts_with(fact));
    Some(said.map_or(advice, |(_, rest)| rest))
}

/// Returns the sentence with which a command ends that came to nothing: at which step, why, and what to do.
pub(super) fn nothing(what: &str, story: &Story) -> String {
    let Some(step) = story.open_step() else { return format!("{what}: it was stopped too early") };
    let reason = story.open_reason().map_or(format!("no {}", step.title()), ToOwned::to_owned);
    let advice = what_to_do(step, &reason).map_or(String::new(), |advice| format!("; {advice}"));
    format!("{what}: {reason}{advice}")
}

fn live_line() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

fn viewer_line(stats: &ViewerStats) -> String {
    let age = stats.age_ms.map_or("-".to_owned(), |age| format!("{age} ms"));
    let held_back = if stats.live == Some(false) { ", not live" } else { "" };
    format!(
        "watching   {:>5.1} fps  {:>6} kbit/s  age {age}  opened {}  failed {}  lost packets {}  {}{held_back}",
        stats.fps,
        stats.bits_per_second / 1000,
        stats.opened_video + stats.opened_audio,
        stats.failed_total(),
        stats.packets_lost,
        stats.authenticity,
    )
}

fn camera_line(stats: &CameraStats) -> String {
    format!(
        "sending    {:>5.1} fps  {:>6} kbit/s  epoch {}  sealed {}  dropped unsealed {}",
        stats.fps,
        stats.bits_per_second / 1000,
        stats.epoch,
        stats.aead_calls,
        stats.dropped,
    )
}

/// How often figures get a line where there is no live one.
const FIGURES_EVERY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_is_given_once() {
        let known = "the camera has not let this device into its group yet: is it connected to the server?";
        let advice = what_to_do(Step::KeyKnown, known).unwrap_or_default();
        assert!(!advice.contains("has not let") && !advice.is_empty(), "{advice}");
        assert_eq!(what_to_do(Step::Signalling, "it does not answer: check the address"), None);
        let refused = what_to_do(Step::Relay, "the server refused: no (sign-in-failed)");
        assert!(refused.is_some_and(|advice| advice.contains("ask an admin")));
    }

    #[test]
    fn what_was_told_before_the_end_is_shown_also_to_the_slow() {
        let (teller, mut events) = broadcast::channel(2);
        for ms in 0..5 {
            let _ = teller.send(Event::FirstFrameOpened { ms });
        }
        Show::new(true, Lines::Stderr).rest(&mut events);
        assert_eq!(events.try_recv(), Err(TryRecvError::Empty));
    }
}
