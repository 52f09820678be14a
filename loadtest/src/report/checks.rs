//! Assertions and what failed, in words.

use crate::measure::line::{Check, FaultLine, Party, StepLine};
use crate::report::number::{count, percent, short};
use crate::report::run::Run;
use crate::report::served::{Broken, broken};

/// What failed in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    /// In a few words; `Nothing` where nothing did.
    pub(crate) head: String,
    /// One by one.
    pub(crate) items: Vec<String>,
}

/// Returns what an assertion bounds, in words, and its unit; its own name where it is not known.
pub(crate) fn label(name: &str) -> (&str, &'static str) {
    match name {
        "bad_grants" => ("Bad grants that were tried", ""),
        "first_frame_p90_ms" => ("Join to first frame, p90", "ms"),
        "first_frame_p99_ms" => ("Join to first frame, p99", "ms"),
        "first_loss_pct" => ("Packets lost before repair", "%"),
        "frozen_pct" => ("Time the picture stood still", "%"),
        "joined" => ("Viewers that saw a first frame", ""),
        "joins_failed" => ("Joins that failed", ""),
        "kb_per_viewer" => ("Server memory per viewer", "KB"),
        "let_in" => ("Intruders let in", ""),
        "loss_pct" => ("Packets lost for good", "%"),
        "not_opened" => ("Frames that did not open", ""),
        "opened_by_removed" => ("Frames a removed device opened", ""),
        "opened_pct" => ("Frames opened", "%"),
        "p50_ms" => ("Frame latency, p50", "ms"),
        "p999_ms" => ("Frame latency, p99.9", "ms"),
        "p99_ms" => ("Frame latency, p99", "ms"),
        "removal_p99_ms" => ("Removal to next epoch, p99", "ms"),
        "removed" => ("Removals that took effect", ""),
        "repair_pct" => ("Cost of repair, of the media's bytes", "%"),
        "repeated_pct" => ("Packets that came twice", "%"),
        "us_per_packet" => ("Server CPU per packet", "µs"),
        "viewers_ok" => ("Viewers well served", ""),
        other => (other, ""),
    }
}

/// Returns what was measured, with its unit; a number below 0 is told for what could not be.
pub(crate) fn measured(check: &Check) -> String {
    let unit = label(&check.name).1;
    if check.measured < 0.0 {
        "not measured".into()
    } else if unit == "%" {
        with_unit(&percent(check.measured), unit)
    } else {
        with_unit(&short(check.measured), unit)
    }
}

/// Returns what was asked, with its unit and the signs of print.
pub(crate) fn asked(check: &Check) -> String {
    let signs = check.asked.replace("<=", "≤").replace(">=", "≥").replace(' ', "\u{a0}");
    with_unit(&signs, label(&check.name).1)
}

fn with_unit(figure: &str, unit: &str) -> String {
    if unit.is_empty() { figure.to_owned() } else { format!("{figure}\u{a0}{unit}") }
}

/// Returns a party's name.
pub(crate) fn party(party: Party) -> &'static str {
    match party {
        Party::Server => "server",
        Party::Driver => "driver",
        Party::Viewer => "viewer",
        Party::Network => "network",
        Party::Caller => "caller",
    }
}

/// Returns faults of the same party and kind as one, first the server's: the first's time and text, and all their counts.
pub(crate) fn grouped(faults: &[&FaultLine]) -> Vec<FaultLine> {
    let mut groups: Vec<FaultLine> = Vec::new();
    for fault in faults {
        match groups.iter_mut().find(|group| group.party == fault.party && group.code == fault.code) {
            Some(group) => group.count += fault.count,
            None => groups.push((*fault).clone()),
        }
    }
    groups.sort_by(|a, b| a.party.cmp(&b.party).then(b.count.cmp(&a.count)));
    groups
}

impl Failed {
    /// Returns what failed in a run: assertions, then steps, then what the server did wrong.
    pub(crate) fn of(run: &Run<'_>) -> Self {
        let checks = run.verdict.map(|verdict| verdict.checks.as_slice()).unwrap_or_default();
        let broken: Vec<&Check> = checks.iter().filter(|check| !check.holds).collect();
        let steps = broken_steps(run);
        let faults: Vec<FaultLine> =
            grouped(&run.faults).into_iter().filter(|fault| fault.party == Party::Server).collect();
        let happened: u64 = faults.iter().map(|fault| fault.count).sum();
        let head = if !broken.is_empty() {
            format!("{} of {} checks", broken.len(), checks.len())
        } else if let Some((viewers, _)) = steps.first() {
            format!("From {} viewers on", count(*viewers))
        } else if happened > 0 {
            format!("{} {} of the server", count(happened), if happened == 1 { "fault" } else { "faults" })
        } else if run.steps.is_empty() && run.whole.is_none() {
            "Not told".into()
        } else {
            "Nothing".into()
        };
        let mut items: Vec<String> = broken.iter().map(|check| sentence(check)).collect();
        items.extend(steps.into_iter().map(|(viewers, why)| format!("{} viewers: {why}", count(viewers))));
        items.extend(
            faults.iter().map(|fault| format!("{} × {}: {}", count(fault.count), fault.code, fault.text)),
        );
        if items.is_empty() {
            items.push(all_well(run, checks));
        }
        Self { head, items }
    }
}

fn sentence(check: &Check) -> String {
    format!("{}: {} (asked\u{a0}{})", label(&check.name).0, measured(check), asked(check))
}

/// Returns the steps that were not well served, by viewers, and why.
fn broken_steps(run: &Run<'_>) -> Vec<(u64, String)> {
    let why = |step: &StepLine| {
        let broken = broken(run, step)?;
        let why = match broken {
            Broken::Loss => format!("{} % of the packets lost for good", percent(step.loss_pct)),
            Broken::Latency => format!("p99 {} ms", short(step.frame_latency.p99_ms)),
            Broken::Viewers => format!("only {} well served", count(step.viewers_ok)),
        };
        Some((step.viewers, why))
    };
    let mut steps: Vec<(u64, String)> = run.steps.iter().filter_map(|step| why(step)).collect();
    steps.sort_by_key(|(viewers, _)| *viewers);
    steps
}

fn all_well(run: &Run<'_>, checks: &[Check]) -> String {
    let others: u64 = run.faults.iter().filter(|fault| fault.party != Party::Server).map(|f| f.count).sum();
    let held = match checks.len() {
        _ if run.steps.is_empty() && run.whole.is_none() => "The run ended before its first step did".into(),
        0 => "Nothing was asserted, and every step was well served".into(),
        1 => "The one check passed".into(),
        2 => "Both checks passed".into(),
        several => format!("All {several} checks passed"),
    };
    match others {
        0 => format!("{held}."),
        1 => format!("{held}; 1 problem was not the server's (see below)."),
        others => format!("{held}; {} problems were not the server's (see below).", count(others)),
    }
}
