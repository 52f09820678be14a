//! The lines of seconds and of steps: what was measured while so many watched.

use serde::{Deserialize, Serialize};

use crate::measure::latency::LatencyFigures;
use crate::measure::tally::{CameraTally, IntruderTally, JoinTally, ViewerTally};

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
    /// Share of the time in which the picture stood still at a player as late as [`RunLine::player_delay_ms`](super::RunLine::player_delay_ms), percent.
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
