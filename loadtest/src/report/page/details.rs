//! What was run, what went wrong and by whom, whether the figures can be trusted, and where it ran.

use maud::{Markup, html};

use crate::measure::line::{SYNTHETIC, StepLine};
use crate::report::checks;
use crate::report::limit::{BUSY_PCT, LATE_PCT, Overload, overload};
use crate::report::number::{count, percent, seconds, short};
use crate::report::run::Run;

/// Returns the shape: what was run, without which no figure can be compared.
pub(super) fn shape(runs: &[Run<'_>]) -> Markup {
    let lists: Vec<Vec<(&'static str, String)>> = runs.iter().map(shape_of).collect();
    let Some(first) = lists.first() else { return html! {} };
    html! {
        section {
            h2 { "What was run" }
            dl {
                @for (index, (name, value)) in first.iter().enumerate().skip(usize::from(runs.len() > 1)) {
                    dt { (name) }
                    dd {
                        (value)
                        @for (run, other) in runs.iter().zip(&lists).skip(1) {
                            @if let Some((_, told)) = other.get(index) && told != value {
                                br; span.quiet { (run.name) ": " } (told)
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Returns the faults, by whose they are.
pub(super) fn faults(runs: &[Run<'_>]) -> Markup {
    let several = runs.len() > 1;
    let told: Vec<_> = runs
        .iter()
        .flat_map(|run| {
            let faults: Vec<_> =
                run.all_rounds().iter().flat_map(|round| round.faults.iter().copied()).collect();
            checks::grouped(&faults).into_iter().map(move |fault| (run.name.as_str(), fault))
        })
        .collect();
    html! {
        section {
            h2 { "Faults, by whose they are" }
            @if told.is_empty() { p.quiet { "None." } } @else {
                div.scroll tabindex="0" role="region" aria-label="Faults" {
                    table.faults {
                        thead { tr {
                            @if several { th scope="col" { "Run" } }
                            th scope="col" { "Whose" }
                            th scope="col" { "What" }
                            th.n scope="col" { "how often" }
                            th.n scope="col" { "first after" }
                            th scope="col" { "Seen, the first time" }
                        } }
                        tbody { @for (name, fault) in told {
                            tr {
                                @if several { td { (name) } }
                                td { (checks::party(fault.party)) }
                                td { code { (fault.code) } }
                                td.n { (count(fault.count)) }
                                td.n { (seconds(fault.at_s)) }
                                td.long { (fault.text) }
                            }
                        } }
                    }
                }
                p.quiet { "Only the server's are held against it." }
            }
        }
    }
}

/// Returns whether the figures can be trusted: what the driver used, and how busy the machine was.
pub(super) fn honesty(runs: &[Run<'_>]) -> Markup {
    html! {
        section.honesty {
            h2 { "Can these figures be trusted?" }
            @for run in runs {
                @if runs.len() > 1 { h3 { (run.name) } }
                (honesty_of(run))
            }
        }
    }
}

/// Returns the machine.
pub(super) fn machine(run: &Run<'_>) -> Markup {
    let machine = &run.run.machine;
    let pinned = |cores: &[u64]| match cores {
        [] => "any".to_owned(),
        cores => cores.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
    };
    html! {
        section {
            h2 { "Where it ran" }
            dl {
                dt { "Processor" } dd { (unknown(&machine.processor)) }
                dt { "Cores" } dd { (count(machine.cores)) }
                dt { "Memory" } dd { (short(machine.memory_mb as f64 / 1024.0)) " GB" }
                dt { "Kernel" } dd { (unknown(&machine.kernel)) }
                dt { "Server's cores" } dd { (pinned(&run.run.server_cores)) }
                dt { "Driver's cores" } dd { (pinned(&run.run.driver_cores)) }
                dt { "Server" }
                dd { @if run.run.server_is_child { "on this machine, started by the run" } @else { "elsewhere, or not started by the run" } }
            }
        }
    }
}

fn shape_of(run: &Run<'_>) -> Vec<(&'static str, String)> {
    let it = run.run;
    let networks = it.networks.iter().map(|(name, share)| format!("{name} {} %", short(*share)));
    let mut networks = networks.collect::<Vec<_>>().join(", ");
    if (0.01..99.99).contains(&it.networks.iter().map(|(_, share)| share).sum::<f64>()) {
        networks.push_str(", the others with nothing added");
    }
    let steps: Vec<String> = run.steps.iter().map(|step| count(step.viewers)).collect();
    let mut each = String::new();
    if it.opens_one_in > 1 {
        each.push_str(&format!(", one frame in {} opened", it.opens_one_in));
    }
    if it.player_delay_ms > 0.0 {
        each.push_str(&format!(", players {} ms behind", short(it.player_delay_ms)));
    }
    let content = if it.content == SYNTHETIC { "made-up pictures" } else { it.content.as_str() };
    let sealed = if it.sealed { "sealed end to end" } else { "not sealed end to end" };
    vec![
        ("Server", run.name.clone()),
        (
            "Viewers",
            format!(
                "{}, of {} in {}",
                if run.is_search() { searched(run) } else { count(it.viewers) },
                many(it.members, "enrolled device"),
                many(it.households, "household")
            ),
        ),
        (if run.is_search() { "Trials" } else { "Steps" }, step_list(&steps, measured_seconds(run))),
        ("Cameras", format!("{}; content: {}", count(it.cameras), content)),
        (
            "Media",
            format!(
                "{} frames/s × {} × {} bytes, {}; {} Mbit/s each; {}",
                short(it.fps),
                if it.packets_per_frame == 1.0 {
                    "1 packet".into()
                } else {
                    format!("{} packets", short(it.packets_per_frame))
                },
                count(it.packet_bytes),
                it.shape,
                short(it.mbit_per_camera),
                key_frames(it.gop, it.fps),
            ),
        ),
        ("Frames", format!("{sealed}{each}")),
        ("Transport", format!("{}, {}", it.transport, it.srtp)),
        ("Networks", if networks.is_empty() { bare_network(run).into() } else { networks }),
    ]
}

/// How many viewers a search tried.
fn searched(run: &Run<'_>) -> String {
    let tried = || run.steps.iter().map(|step| step.viewers);
    match (tried().min(), tried().max()) {
        (Some(least), Some(most)) if least < most => format!("{} to {}", count(least), count(most)),
        (Some(only), _) => count(only),
        _ => "none".into(),
    }
}

/// Seconds that a step measured; where none did, those that it should have.
fn measured_seconds(run: &Run<'_>) -> f64 {
    let seconds: Vec<f64> = run.steps.iter().map(|step| step.seconds).filter(|it| *it > 0.0).collect();
    if seconds.is_empty() || !run.is_search() {
        return run.run.step_seconds;
    }
    seconds.iter().sum::<f64>() / seconds.len() as f64
}

fn key_frames(gop: u64, fps: f64) -> String {
    match gop {
        0 => "key frames only where the server asks".into(),
        1 => "every frame is a key frame".into(),
        gop if fps > 0.0 => {
            format!(
                "a key frame every {} frames ({})",
                count(gop),
                seconds(gop as f64 / fps).replace(' ', "\u{a0}")
            )
        }
        gop => format!("a key frame every {} frames", count(gop)),
    }
}

fn bare_network(run: &Run<'_>) -> &'static str {
    if run.run.server_is_child {
        "this machine's network, nothing added"
    } else {
        "the network to the server, nothing added"
    }
}

fn step_list(steps: &[String], each: f64) -> String {
    let told = match steps {
        [] => "none was measured".to_owned(),
        few if few.len() <= 8 => few.join(", "),
        many => format!(
            "{}, {}, {}, … {} ({} steps)",
            many[0],
            many[1],
            many[2],
            many[many.len() - 1],
            many.len()
        ),
    };
    format!("{told}; {} each", seconds(each))
}

fn honesty_of(run: &Run<'_>) -> Markup {
    let steps = run.measured();
    let Some(most) = steps.iter().copied().max_by(|a, b| a.driver_cpu_pct.total_cmp(&b.driver_cpu_pct))
    else {
        return html! { p.quiet { "Nothing was measured." } };
    };
    let largest = |of: fn(&StepLine) -> f64| steps.iter().map(|step| of(step)).fold(0.0, f64::max);
    let late = largest(|step| step.driver_late_pct);
    let pressure = steps
        .iter()
        .filter_map(|step| step.cpu_pressure_pct)
        .fold(None, |most: Option<f64>, pct| Some(most.map_or(pct, |most| most.max(pct))));
    let overloaded = steps.iter().copied().find_map(|step| Some((step, overload(run, step)?)));
    let cores = run.driver_cores(most);
    html! {
        @match overloaded {
            Some((step, Overload::Late)) => p.warning {
                strong { "Not all of them. " } "At " (count(step.viewers)) " viewers the driver sent too many packets late: the \
                machine was busy, and what was lost or late there cannot be held against the server."
            },
            Some((step, Overload::Busy | Overload::Told(_))) => p.warning {
                strong { "Not all of them. " } "At " (count(step.viewers)) " viewers the driver itself was the limit: what was \
                lost or late there cannot be held against the server."
            },
            None => p { strong { "Yes. " } "The driver always had room." }
        }
        dl {
            dt { "Driver CPU, at most" }
            dd { (short(most.driver_cpu_pct)) " % of a core; it may use " (count(cores))
                span.quiet { " (trusted below " (short(BUSY_PCT * cores as f64)) " %)" } }
            dt { "Packets sent > 2 ms late, at most" }
            dd { (percent(late)) " %" span.quiet { " (trusted up to " (short(LATE_PCT)) " %)" } }
            dt { "Load average, at most" } dd { (short(largest(|step| step.load_average))) }
            dt { "CPU pressure, at most" }
            dd { @match pressure { Some(pct) => { (short(pct)) " % of the time some task waited" } None => "not told here" } }
        }
    }
}

/// Returns a number of things, with their name as grammar wants it.
fn many(number: u64, name: &str) -> String {
    if number == 1 { format!("1 {name}") } else { format!("{} {name}s", count(number)) }
}

fn unknown(text: &str) -> &str {
    if text.is_empty() { "not told" } else { text }
}
