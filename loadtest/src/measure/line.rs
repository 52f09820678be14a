//! The lines of a run's JSON file, one object each: what was run, every second, every step, every fault, and the verdict.
//!
//! The last line is the verdict. A report is made of these lines and of nothing else.

use serde::{Deserialize, Serialize};

use crate::measure::latency::LatencyFigures;
use crate::measure::tally::{CameraTally, IntruderTally, JoinTally, ViewerTally};

/// What a camera sends where frames are made up.
pub const SYNTHETIC: &str = "synthetic";

/// One line, told apart by its field `line`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// The first: what is run, and where.
    Run(Box<RunLine>),
    /// About every second.
    Second(Box<SecondLine>),
    /// A step with so many viewers is over.
    Step(Box<StepLine>),
    /// Something went wrong.
    Fault(FaultLine),
    /// The last.
    Verdict(Box<VerdictLine>),
}

/// What is run, and where: without it no figure can be compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunLine {
    /// The scenario's name, or `breakpoint`, or `compare`.
    pub scenario: String,
    /// What it shows, one sentence.
    pub about: String,
    /// When it began, seconds since the Unix epoch.
    pub started_at: u64,
    /// What is under load: name and version, such as `latchkey-server 0.1.0`.
    pub server: String,
    /// Whether the run started the server itself, as a child on this machine.
    pub server_is_child: bool,
    /// `webrtc`.
    pub transport: String,
    /// How media is sealed between client and server, such as `SRTP AEAD_AES_128_GCM`: what the first camera's connection
    /// came to; viewers offer the same suites.
    pub srtp: String,
    /// Whether frames are sealed end to end.
    pub sealed: bool,
    /// Households, each with its own keys.
    pub households: u64,
    /// Cameras in all.
    pub cameras: u64,
    /// Viewers at the most.
    pub viewers: u64,
    /// Enrolled viewing devices (members of the MLS groups); viewers beyond them are further sessions of these.
    pub members: u64,
    /// Frames a second of each camera.
    pub fps: f64,
    /// Packets of a frame, mean.
    pub packets_per_frame: f64,
    /// UDP payload bytes of a full packet.
    pub packet_bytes: u64,
    /// Media of one camera, Mbit/s on the wire.
    pub mbit_per_camera: f64,
    /// Frames from one key frame to the next.
    pub gop: u64,
    /// `burst` or `spread`.
    pub shape: String,
    /// [`SYNTHETIC`], or the clip's file name.
    pub content: String,
    /// Every so many frames of a viewer one is opened; 1 is all of them.
    pub opens_one_in: u64,
    /// How far a viewer's player stays behind the fastest frame, milliseconds.
    #[serde(default)]
    pub player_delay_ms: f64,
    /// Network profiles and how many of the viewers meet each, percent.
    pub networks: Vec<(String, f64)>,
    /// Seconds that a step measures.
    pub step_seconds: f64,
    /// `breakpoint` only: packets that may be lost where viewers count as carried, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_loss_pct: Option<f64>,
    /// `breakpoint` only: p99 of the frames' latency at the most where viewers count as carried, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_p99_ms: Option<f64>,
    /// Processors that the server may use; empty: all.
    pub server_cores: Vec<u64>,
    /// Processors that the driver may use; empty: all.
    pub driver_cores: Vec<u64>,
    /// Processors of the machine, its name as the kernel tells it, and the kernel.
    pub machine: Machine,
}

/// The machine that drives, and serves where the server is a child.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Processors.
    pub cores: u64,
    /// Model name of the first.
    pub processor: String,
    /// Release of the kernel.
    pub kernel: String,
    /// Memory, megabytes.
    pub memory_mb: u64,
}

/// What happened in about a second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecondLine {
    /// Seconds since the run began, at its end.
    pub at_s: f64,
    /// How long it was, seconds.
    pub seconds: f64,
    /// Number of the step it belongs to, from 0; none while viewers come and go between steps.
    pub step: Option<u64>,
    /// Viewers that watched at its end.
    pub viewers: u64,
    /// Media that cameras sent, Mbit/s.
    pub mbit_in: f64,
    /// What viewers received, Mbit/s.
    pub mbit_out: f64,
    /// What viewers counted.
    pub viewer: ViewerTally,
    /// Joins.
    pub joins: JoinTally,
    /// Latency of frames in this second, without distribution.
    pub frame_latency: LatencyFigures,
    /// The server's share, where it can be watched.
    pub server: Option<ServerFigures>,
    /// CPU of the driver, percent of one processor.
    pub driver_cpu_pct: f64,
}

/// A step: so many viewers for so long.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepLine {
    /// Number, from 0; the line of the whole run has none.
    pub step: Option<u64>,
    /// What was under load, where several servers are compared.
    pub server_name: String,
    /// Measured seconds.
    pub seconds: f64,
    /// Viewers that were asked for.
    pub viewers: u64,
    /// Viewers that watched at the end and opened at least 99 % of their frames in it.
    pub viewers_ok: u64,
    /// Packets per second that cameras sent, and Mbit/s.
    pub packets_in_per_s: f64,
    /// Mbit/s of them.
    pub mbit_in: f64,
    /// Packets per second that viewers received.
    pub packets_out_per_s: f64,
    /// Mbit/s of them.
    pub mbit_out: f64,
    /// Packets that never came, percent of those expected.
    pub loss_pct: f64,
    /// Packets that did not come in their first transmission, percent.
    pub first_loss_pct: f64,
    /// Packets that came once more, percent.
    pub repeated_pct: f64,
    /// Frames opened, percent of those expected.
    pub opened_pct: f64,
    /// Share of the time in which the picture stood still at a player as late as [`RunLine::player_delay_ms`], percent.
    pub frozen_pct: f64,
    /// The same where each frame is shown as soon as it can be, percent.
    #[serde(default)]
    pub frozen_at_once_pct: f64,
    /// Bytes of retransmissions, percent of those of first transmissions.
    #[serde(default)]
    pub repair_pct: f64,
    /// All that viewers counted.
    pub viewer: ViewerTally,
    /// All that cameras counted.
    pub camera: CameraTally,
    /// Joins in this step and on the way to it.
    pub joins: JoinTally,
    /// Intruders.
    pub intruders: IntruderTally,
    /// Camera's send call to viewer's socket, last packet of each frame.
    pub frame_latency: LatencyFigures,
    /// The same per packet.
    pub packet_latency: LatencyFigures,
    /// Join to first opened frame.
    pub first_frame: LatencyFigures,
    /// From an admin's word to the camera's next epoch.
    pub removal: LatencyFigures,
    /// The server, where it can be watched.
    pub server: Option<ServerFigures>,
    /// CPU of the driver, percent of one processor.
    pub driver_cpu_pct: f64,
    /// Processors that the driver may use.
    pub driver_cores: u64,
    /// Packets that the driver's cameras sent more than 2 ms late, percent.
    pub driver_late_pct: f64,
    /// Load average of the last minute.
    pub load_average: f64,
    /// Share of time in which some task waited for a processor (`/proc/pressure/cpu`, some, avg10), percent.
    pub cpu_pressure_pct: Option<f64>,
}

/// What the server used and did in some time, by its own metrics and by the system's word on its process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerFigures {
    /// CPU, percent of one processor.
    pub cpu_pct: f64,
    /// Of it in user code.
    pub user_pct: f64,
    /// Of it in the kernel.
    pub sys_pct: f64,
    /// CPU microseconds for each media packet sent.
    pub us_per_packet: f64,
    /// Mbit/s sent for each processor used.
    pub mbit_per_core: f64,
    /// Context switches a second.
    pub switches_per_s: f64,
    /// Resident memory, kilobytes.
    pub rss_kb: u64,
    /// Growth of it since before the first viewer, kilobytes for each viewer there is.
    pub kb_per_viewer: f64,
    /// Threads.
    pub threads: u64,
    /// Open files, sockets among them.
    pub files: u64,
    /// Media packets that the server says it received and sent.
    pub packets_in: u64,
    /// Sent.
    pub packets_out: u64,
    /// Packets that it dropped, by reason, where any were.
    pub drops: Vec<(String, u64)>,
    /// Its own forward latency: p50 and p99 in milliseconds, read from its histogram's buckets (so: upper bounds).
    pub forward_p50_ms: f64,
    /// p99.
    pub forward_p99_ms: f64,
    /// Packets that viewers asked it for again.
    pub nacks: u64,
    /// Packets that it sent again.
    pub rtx: u64,
    /// Key frames that it asked cameras for.
    pub plis: u64,
    /// Datagrams that its sockets lost because a buffer was full.
    pub socket_drops: u64,
}

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
    /// Viewers that were well served at the end, see [`StepLine::viewers_ok`].
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

/// A line that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("line {number} is not one of this program's lines ({reason}): is the file a run's --json output?")]
#[non_exhaustive]
pub struct LineError {
    /// Number of the line, from 1.
    pub number: usize,
    /// What the parser said.
    pub reason: String,
}

impl Line {
    /// Returns the line as it stands in the file, without its end. The verdict begins with its word.
    #[must_use]
    pub fn to_json(&self) -> String {
        let text = match self {
            Line::Verdict(verdict) => serde_json::to_string(verdict),
            other => serde_json::to_string(other),
        };
        text.expect("plain data is JSON")
    }

    /// Reads a file of lines; empty ones are skipped.
    ///
    /// # Errors
    /// [`LineError`] for the first that is none.
    pub fn read_all(text: &str) -> Result<Vec<Self>, LineError> {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        lines
            .map(|(index, line)| {
                Self::read(line).map_err(|error| LineError { number: index + 1, reason: error.to_string() })
            })
            .collect()
    }

    fn read(line: &str) -> Result<Self, serde_json::Error> {
        if line.starts_with("{\"verdict\"") {
            return Ok(Line::Verdict(Box::new(serde_json::from_str(line)?)));
        }
        serde_json::from_str(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_reads_itself_and_the_verdict_begins_with_its_word() {
        let verdict = VerdictLine {
            verdict: Verdict::Pass,
            viewers_ok: 100,
            loss_pct: 0.0,
            opened: 3000,
            expected: 3000,
            p99_ms: 4.5,
            checks: vec![Check {
                name: "loss_pct".into(),
                asked: "<= 0.5".into(),
                measured: 0.0,
                holds: true,
            }],
            limit: String::new(),
            interrupted: false,
            last_good: None,
            first_bad: None,
        };
        let fault =
            FaultLine { at_s: 1.5, party: Party::Server, code: "x".into(), text: "y".into(), count: 2 };
        let lines = vec![
            Line::Run(Box::default()),
            Line::Second(Box::default()),
            Line::Step(Box::default()),
            Line::Fault(fault),
            Line::Verdict(Box::new(verdict)),
        ];
        let text: Vec<String> = lines.iter().map(Line::to_json).collect();
        assert!(
            text[4].starts_with("{\"verdict\":\"pass\",\"viewers_ok\":100,\"loss_pct\":0.0,\"opened\":3000")
        );
        assert!(text[2].starts_with("{\"line\":\"step\""), "{}", text[2]);
        assert_eq!(Line::read_all(&text.join("\n")).unwrap(), lines);
        let error = Line::read_all("{}\n").unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
    }
}
