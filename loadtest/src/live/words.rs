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
        "in {} out {} Mbit/s · lost {} % · before repair {} % · p50 {} p99 {} ms{}",
        short(snapshot.mbit_in),
        short(snapshot.mbit_out),
        percent(snapshot.loss_pct),
        percent(snapshot.first_loss_pct),
        latency(snapshot.p50_ms),
        latency(snapshot.p99_ms),
        dark(snapshot, " · "),
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
        "{:>4}s {}{step}  viewers {}/{}  out {} Mbit/s  lost {}%  p50 {} p99 {} ms  server {server}  driver {}%{failed}{faults}{}",
        snapshot.at.as_secs(),
        snapshot.phase,
        snapshot.viewers,
        snapshot.viewers_asked,
        short(snapshot.mbit_out),
        percent(snapshot.loss_pct),
        latency(snapshot.p50_ms),
        latency(snapshot.p99_ms),
        short(snapshot.driver_cpu_pct),
        dark(snapshot, "  "),
    ))
}

/// Returns how long no viewer has seen a picture; nothing while they do.
fn dark(snapshot: &Snapshot, before: &str) -> String {
    snapshot.dark.map_or(String::new(), |dark| format!("{before}no pictures for {} s", dark.as_secs()))
}

/// Returns a latency; a dash where no frame came.
fn latency(ms: f64) -> String {
    if ms > 0.0 { short(ms) } else { "–".into() }
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

/// Returns the parts of a text that find room in so many letters, between ` · ` or `, `; one that does not is left out, with
/// all after it.
pub(super) fn fitting(text: &str, room: usize) -> String {
    let mut end = 0;
    let ends = text.match_indices(" · ").chain(text.match_indices(", ")).map(|(at, _)| at);
    for at in ends.chain([text.len()]) {
        if text[..at].chars().count() <= room {
            end = end.max(at);
        }
    }
    if end == 0 { clipped(text, room) } else { text[..end].to_owned() }
}

/// Narrow spaces are no wider than others on a terminal, and not in every font; who reads lines by their spaces wants none
/// inside of a number.
fn plain(text: String) -> String {
    if text.contains('\u{202f}') { text.replace('\u{202f}', "") } else { text }
}
