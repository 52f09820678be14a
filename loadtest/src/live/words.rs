//! A run's state in words.

use crate::live::Snapshot;
use crate::report::number::{percent, seconds, short};

/// Returns how much of the run has passed and how much there is: by time where the end is known, else by steps.
pub(super) fn passed(snapshot: &Snapshot) -> (u64, u64) {
    match snapshot.left {
        Some(left) => {
            let (at, left) = (snapshot.at.as_millis() as u64, left.as_millis() as u64);
            (at, (at + left).max(1))
        }
        None => (snapshot.step.saturating_sub(1), snapshot.steps.max(1)),
    }
}

/// Returns what the run does and how long it will: `measuring, step 2 of 4, 35 s left`.
pub(super) fn phase(snapshot: &Snapshot) -> String {
    let step = match (snapshot.step, snapshot.steps) {
        (0, _) => String::new(),
        (step, 0) => format!(", step {step}"),
        (step, steps) => format!(", step {step} of {steps}"),
    };
    let left =
        snapshot.left.map_or(String::new(), |left| format!(", {} left", seconds(left.as_secs_f64().ceil())));
    format!("{}{step}{left}", snapshot.phase)
}

/// Returns how joins and faults stand.
pub(super) fn joins(snapshot: &Snapshot) -> String {
    let faults = match snapshot.faults {
        0 => String::new(),
        1 => " · 1 fault".into(),
        faults => format!(" · {faults} faults"),
    };
    let (here, asked) = (snapshot.viewers, snapshot.viewers_asked);
    format!("{here}/{asked} · joined {}, failed {}{faults}", snapshot.joins_ok, snapshot.joins_failed)
}

/// Returns rates, loss and latency.
pub(super) fn media(snapshot: &Snapshot) -> String {
    plain(format!(
        "in {:>5}  out {:>5} Mbit/s · lost {} %, at first {} % · p50 {} p99 {} ms",
        short(snapshot.mbit_in),
        short(snapshot.mbit_out),
        percent(snapshot.loss_pct),
        percent(snapshot.first_loss_pct),
        short(snapshot.p50_ms),
        short(snapshot.p99_ms),
    ))
}

/// Returns what server and driver use.
pub(super) fn load(snapshot: &Snapshot) -> String {
    let server = snapshot.server_cpu_pct.map_or("not watched".into(), |pct| format!("{} %", short(pct)));
    plain(format!("CPU of one core: server {server} · driver {} %", short(snapshot.driver_cpu_pct)))
}

/// Returns all of it as one line.
pub(super) fn line(snapshot: &Snapshot) -> String {
    let step = match (snapshot.step, snapshot.steps) {
        (0, _) => String::new(),
        (step, 0) => format!(" {step}"),
        (step, steps) => format!(" {step}/{steps}"),
    };
    let server = snapshot.server_cpu_pct.map_or("–".into(), |pct| format!("{}%", short(pct)));
    let failed = if snapshot.joins_failed > 0 {
        format!("  joins failed {}", snapshot.joins_failed)
    } else {
        String::new()
    };
    let faults = if snapshot.faults > 0 { format!("  faults {}", snapshot.faults) } else { String::new() };
    plain(format!(
        "{:>4}s {}{step}  viewers {}/{}  out {} Mbit/s  lost {}%  p50 {} p99 {} ms  server {server}  driver {}%{failed}{faults}",
        snapshot.at.as_secs(),
        snapshot.phase,
        snapshot.viewers,
        snapshot.viewers_asked,
        short(snapshot.mbit_out),
        percent(snapshot.loss_pct),
        short(snapshot.p50_ms),
        short(snapshot.p99_ms),
        short(snapshot.driver_cpu_pct),
    ))
}

/// Returns a text as one line, without what a terminal would take for a command.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// Returns a text that is no longer than so many letters.
pub(super) fn clipped(text: &str, most: usize) -> String {
    let text = one_line(text);
    if text.chars().count() <= most {
        return text;
    }
    let head: String = text.chars().take(most - 1).collect();
    format!("{head}…")
}

/// Narrow spaces are no wider than others on a terminal, and not in every font.
fn plain(text: String) -> String {
    if text.contains('\u{202f}') { text.replace('\u{202f}', " ") } else { text }
}
