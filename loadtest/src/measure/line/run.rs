//! The first line: what is run, and where.

use serde::{Deserialize, Serialize};

/// What a camera sends where frames are made up.
pub const SYNTHETIC: &str = "synthetic";

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
