//! Every figure of a step, by name and unit: the rows of the page's table.

use crate::measure::line::{ServerFigures, StepLine};
use crate::report::number::{count, percent, short, tick};

/// One figure of a step.
pub(crate) struct Row {
    /// What it is, with its unit.
    pub(crate) name: &'static str,
    /// Returns it as text; none where it was not measured.
    pub(crate) of: fn(&StepLine) -> Option<String>,
}

/// Figures that belong together.
pub(crate) struct Group {
    /// What they are of.
    pub(crate) name: &'static str,
    /// The figures.
    pub(crate) rows: &'static [Row],
}

/// Every figure, in groups.
pub(crate) const GROUPS: [Group; 8] = [
    Group {
        name: "Viewers",
        rows: &[
            row("asked for", |step| Some(count(step.viewers))),
            row("well served", |step| Some(count(step.viewers_ok))),
            row("measured, s", |step| some(step.seconds)),
        ],
    },
    Group {
        name: "Media",
        rows: &[
            row("in, packets/s", |step| some(step.packets_in_per_s)),
            row("in, Mbit/s", |step| some(step.mbit_in)),
            row("out, packets/s", |step| some(step.packets_out_per_s)),
            row("out, Mbit/s", |step| some(step.mbit_out)),
            row("expected, packets", |step| large(step.viewer.expected)),
            row("received, packets", |step| large(step.viewer.received)),
            row("never came, packets", |step| {
                Some(count(step.viewer.expected.saturating_sub(step.viewer.received)))
            }),
        ],
    },
    Group {
        name: "Loss and order",
        rows: &[
            row("lost before repair, %", |step| Some(percent(step.first_loss_pct))),
            row("lost for good, %", |step| Some(percent(step.loss_pct))),
            row("came twice, %", |step| Some(percent(step.repeated_pct))),
            row("overtaken, packets", |step| Some(count(step.viewer.overtaken))),
            row("repaired, packets", |step| Some(count(step.viewer.repaired))),
            row("sent again, packets", |step| Some(count(step.viewer.repairs))),
            row("cost of repair, % of the media's bytes", |step| Some(percent(step.repair_pct))),
            row("frames opened, %", |step| Some(percent(step.opened_pct))),
            row("frames that did not open", |step| Some(count(step.viewer.frames_refused))),
            row("opened by a removed device", |step| Some(count(step.viewer.opened_by_removed))),
            row("picture stood still, %", |step| Some(percent(step.frozen_pct))),
            row("picture stood still, shown at once, %", |step| Some(percent(step.frozen_at_once_pct))),
        ],
    },
    Group {
        name: "Latency, ms",
        rows: &[
            row("frame p50", |step| heard(step.frame_latency.count, step.frame_latency.p50_ms)),
            row("frame p90", |step| heard(step.frame_latency.count, step.frame_latency.p90_ms)),
            row("frame p99", |step| heard(step.frame_latency.count, step.frame_latency.p99_ms)),
            row("frame p99.9", |step| heard(step.frame_latency.count, step.frame_latency.p999_ms)),
            row("frame, longest", |step| heard(step.frame_latency.count, step.frame_latency.max_ms)),
            row("packet p50", |step| heard(step.packet_latency.count, step.packet_latency.p50_ms)),
            row("packet p99", |step| heard(step.packet_latency.count, step.packet_latency.p99_ms)),
            row("inside the server p50, at most", |step| server(step, |it| short(it.forward_p50_ms))),
            row("inside the server p99, at most", |step| server(step, |it| short(it.forward_p99_ms))),
        ],
    },
    Group {
        name: "Joins",
        rows: &[
            row("saw a first frame", |step| Some(count(step.joins.seen))),
            row("failed", |step| Some(count(step.joins.failed))),
            row("left as asked", |step| Some(count(step.joins.left))),
            row("reconnects", |step| Some(count(step.viewer.reconnects))),
            row("first frame p50, ms", |step| heard(step.first_frame.count, step.first_frame.p50_ms)),
            row("first frame p95, ms", |step| heard(step.first_frame.count, step.first_frame.p95_ms)),
            row("first frame p99, ms", |step| heard(step.first_frame.count, step.first_frame.p99_ms)),
            row("removals", |step| Some(count(step.removal.count))),
            row("removal p99, ms", |step| heard(step.removal.count, step.removal.p99_ms)),
            row("bad grants tried", |step| Some(count(step.intruders.bad_grants))),
            row("intruders let in", |step| Some(count(step.intruders.let_in))),
        ],
    },
    Group {
        name: "Server CPU and memory",
        rows: &[
            row("CPU, % of a core", |step| server(step, |it| short(it.cpu_pct))),
            row("of it in the program", |step| server(step, |it| ticked(it.user_pct))),
            row("of it in the kernel", |step| server(step, |it| ticked(it.sys_pct))),
            row("CPU for each packet, µs", |step| server(step, |it| short(it.us_per_packet))),
            row("Mbit/s for each core used", |step| server(step, |it| short(it.mbit_per_core))),
            row("context switches/s", |step| server(step, |it| short(it.switches_per_s))),
            row("memory, MB", |step| server(step, |it| short(it.rss_kb as f64 / 1024.0))),
            row("memory for each viewer, KB", |step| server(step, |it| short(it.kb_per_viewer))),
            row("threads", |step| server(step, |it| count(it.threads))),
            row("open files and sockets", |step| server(step, |it| count(it.files))),
        ],
    },
    Group {
        name: "Server packets",
        rows: &[
            row("in, by its own count", |step| server(step, |it| tick(it.packets_in as f64))),
            row("out, by its own count", |step| server(step, |it| tick(it.packets_out as f64))),
            row("dropped, all reasons", |step| {
                server(step, |it| count(it.drops.iter().map(|(_, dropped)| *dropped).sum()))
            }),
            row("lost in full socket buffers", |step| server(step, |it| count(it.socket_drops))),
            row("asked for again (NACK)", |step| server(step, |it| count(it.nacks))),
            row("sent again (RTX)", |step| server(step, |it| count(it.rtx))),
            row("key frames asked for (PLI)", |step| server(step, |it| count(it.plis))),
        ],
    },
    Group {
        name: "Was the driver fast enough?",
        rows: &[
            row("driver CPU, % of a core", |step| some(step.driver_cpu_pct)),
            row("driver cores", |step| Some(count(step.driver_cores))),
            row("packets sent > 2 ms late, %", |step| Some(percent(step.driver_late_pct))),
            row("load average", |step| some(step.load_average)),
            row("CPU pressure, %", |step| step.cpu_pressure_pct.map(short)),
        ],
    },
];

const fn row(name: &'static str, of: fn(&StepLine) -> Option<String>) -> Row {
    Row { name, of }
}

fn some(value: f64) -> Option<String> {
    Some(short(value))
}

/// Told where a tick of the kernel's clock fell into it; none did where there was too little of it.
fn ticked(pct: f64) -> String {
    if pct > 0.0 { short(pct) } else { "too short to tell".to_owned() }
}

/// Told with k or M: what is missing is told beside it.
fn large(value: u64) -> Option<String> {
    Some(tick(value as f64))
}

fn heard(count: u64, value: f64) -> Option<String> {
    (count > 0).then(|| short(value))
}

fn server(step: &StepLine, of: fn(&ServerFigures) -> String) -> Option<String> {
    step.server.as_ref().map(of)
}
