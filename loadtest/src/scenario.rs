//! What a run does, as its author writes it: a TOML file in which every key has a default.
//!
//! ```text
//!   defaults ◀── file ◀── LATCHKEY_LOADTEST_* ◀── flags, --set      the later one wins; what nobody knows is refused
//! ```

pub mod assert;
pub mod layers;
pub mod shipped;
pub mod units;
mod validate;

use serde::{Deserialize, Serialize};

use crate::fleet::content::{self, Shape};
use crate::measure::line::SYNTHETIC;
use crate::scenario::assert::Assert;
use crate::scenario::units::{BitRate, Percent, Span};

/// `camera.clip` of the film that comes with Latchkey.
pub const DOORBELL: &str = "doorbell";

/// A whole scenario. Comes checked out of [`layers::Layers::resolve`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// Its name, as it stands in the report.
    pub name: String,
    /// What it shows, one sentence.
    pub about: String,
    /// `[households]`.
    pub households: Households,
    /// `[camera]`.
    pub camera: Camera,
    /// `[viewers]`.
    pub viewers: Viewers,
    /// `[phases]`.
    pub phases: Phases,
    /// `[churn]`.
    pub churn: Churn,
    /// `[storm]`.
    pub storm: Storm,
    /// `[removals]`.
    pub removals: Removals,
    /// `[intruders]`.
    pub intruders: Intruders,
    /// `[[network]]`, once for each profile; viewers that no profile takes are on the bare network.
    pub network: Vec<NetworkShare>,
    /// `[server]`.
    pub server: Server,
    /// `[assert]`.
    pub assert: Assert,
}

/// `[households]`: each with its own keys, its own device list and its own admin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Households {
    /// How many.
    pub count: u32,
    /// Cameras of each.
    pub cameras: u32,
    /// Viewing devices enrolled in each; viewers beyond them are further sessions of these.
    pub members: u32,
}

/// `[camera]`: what each camera sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Camera {
    /// `synthetic`, `doorbell` (the clip that comes with the program) or the path of a VP8 (`.ivf`) or H.264 clip.
    pub clip: String,
    /// Frames a second; a clip brings its own.
    pub fps: f64,
    /// Media on the wire; a clip brings its own.
    pub bitrate: BitRate,
    /// Frames from one key frame to the next, 0: only where the server asks; a clip brings its own.
    pub gop: u32,
    /// How many times a key frame is larger than the mean frame; a clip brings its own.
    pub key_frame_factor: f64,
    /// Whether a frame's packets leave at once or spread over the frame time.
    pub pace: Pace,
    /// UDP payload bytes of a full packet.
    pub packet_bytes: u16,
}

/// How the packets of a frame leave the camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pace {
    /// All at once.
    Burst,
    /// Evenly over the frame time.
    Spread,
}

/// `[viewers]`: how many watch; they take the cameras in turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Viewers {
    /// How many in the last step.
    pub count: u32,
    /// Numbers of viewers to measure one after the other; empty: `count` only. Its last is `count`.
    #[serde(deserialize_with = "units::one_or_more")]
    pub steps: Vec<u32>,
    /// Every so many frames of a viewer one is opened and read; 1: all of them. All packets are counted in any case.
    pub opens_one_in: u32,
    /// How far a viewer's player stays behind the fastest frame, so that jitter and repairs do not show; 0: it shows what it
    /// can as soon as it can.
    pub player_delay: Span,
}

/// `[phases]` of each step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Phases {
    /// Time over which the step's new viewers join, evenly.
    pub ramp: Span,
    /// Time between the last join and the first figure.
    pub settle: Span,
    /// Time that is measured.
    pub steady: Span,
}

/// `[churn]` while a step is measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Churn {
    /// Viewers that leave each second; as many come as `joins_per_s` says, and never more than the step has.
    pub leaves_per_s: f64,
    /// Viewers that join each second.
    pub joins_per_s: f64,
}

/// `[storm]`: a share of the viewers loses its connection at the same instant and comes back at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storm {
    /// When, counted from the beginning of each measured time.
    pub at: Span,
    /// How many of the viewers that watch; 0: no storm.
    pub share: Percent,
}

/// `[removals]`: an admin removes a member's device while its sessions watch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Removals {
    /// How many in the whole run; every household keeps one member.
    pub count: u32,
    /// How many a second, while a step is measured.
    pub per_s: f64,
}

/// `[intruders]`: who must not get in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Intruders {
    /// Requests a second with a grant that must not open the door.
    pub per_s: f64,
    /// Datagrams of garbage a second to the media port.
    pub garbage_per_s: f64,
}

/// `[[network]]`: what lies between some of the viewers and the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkShare {
    /// Name of the [profile](crate::fleet::network::Profile).
    pub profile: String,
    /// How many of the viewers meet it.
    pub share: Percent,
}

/// `[server]`: the one that the run starts, where none is named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Its media threads.
    pub shards: u32,
    /// Whether it and the driver get processors of their own, where there are enough.
    pub pin: bool,
}

impl Scenario {
    /// Returns the numbers of viewers to measure, one after the other.
    #[must_use]
    pub fn steps(&self) -> Vec<u32> {
        if self.viewers.steps.is_empty() { vec![self.viewers.count] } else { self.viewers.steps.clone() }
    }

    /// Returns the largest number of viewers.
    #[must_use]
    pub fn most_viewers(&self) -> u32 {
        self.steps().into_iter().max().unwrap_or(0)
    }

    /// Returns the scenario as the file that says all of it.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("plain tables are TOML")
    }
}

impl Camera {
    /// Returns the shape of its load; of a clip only pace and packet size are the scenario's.
    #[must_use]
    pub fn shape(&self) -> Shape {
        Shape {
            fps: self.fps,
            bitrate_bps: self.bitrate.0,
            gop: self.gop,
            pace: match self.pace {
                Pace::Burst => content::Pace::Burst,
                Pace::Spread => content::Pace::Spread,
            },
            packet_bytes: self.packet_bytes,
            key_frame_factor: self.key_frame_factor,
        }
    }
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            name: "unnamed".to_owned(),
            about: String::new(),
            households: Households::default(),
            camera: Camera::default(),
            viewers: Viewers::default(),
            phases: Phases::default(),
            churn: Churn::default(),
            storm: Storm::default(),
            removals: Removals::default(),
            intruders: Intruders::default(),
            network: Vec::new(),
            server: Server::default(),
            assert: Assert::default(),
        }
    }
}

impl Default for Households {
    fn default() -> Self {
        Self { count: 1, cameras: 1, members: 3 }
    }
}

/// As in the forwarding bench: 30 fps, 10 packets of 1100 bytes each, all at once.
impl Default for Camera {
    fn default() -> Self {
        Self {
            clip: SYNTHETIC.to_owned(),
            fps: 30.0,
            bitrate: BitRate(2_640_000),
            gop: 60,
            key_frame_factor: 1.0,
            pace: Pace::Burst,
            packet_bytes: 1100,
        }
    }
}

impl Default for Viewers {
    fn default() -> Self {
        Self { count: 1, steps: Vec::new(), opens_one_in: 1, player_delay: Span::default() }
    }
}

impl Default for Phases {
    fn default() -> Self {
        let seconds = |seconds| Span(std::time::Duration::from_secs(seconds));
        Self { ramp: seconds(2), settle: seconds(2), steady: seconds(10) }
    }
}

impl Default for Server {
    fn default() -> Self {
        Self { shards: 1, pin: true }
    }
}
