//! Figures of the last second of a watch or a camera.

use serde::Serialize;

/// What a watch has opened.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Video frames opened since the start.
    pub opened_video: u64,
    /// Audio frames opened since the start.
    pub opened_audio: u64,
    /// Frames that did not open, by reason, since the start.
    pub failed: Vec<Failed>,
    /// Opened video frames per second.
    pub fps: f64,
    /// Bits of opened frames per second.
    pub bits_per_second: u64,
    /// Age of the newest video frame when it was opened, in milliseconds, by the camera's clock and this one's.
    pub age_ms: Option<i64>,
    /// Frames that the camera's signature covers, since the start.
    pub signed: u64,
    /// Frames whose signature did not come.
    pub unverified: u64,
    /// Frames that the camera did not make.
    pub forged: u64,
    /// What the newest of these verdicts say.
    pub authenticity: Authenticity,
    /// The camera's own answer proves the last frame to be of now; `null` while it has not answered.
    pub live: Option<bool>,
    /// Nothing that comes has opened for a while: no more key frames are to be asked for.
    pub blind: bool,
}

/// What the camera's signature says about the frames of the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum Authenticity {
    /// It has not come.
    #[default]
    NotVerified,
    /// They are the camera's.
    Signed,
    /// Some of them are not the camera's.
    Forged,
}

/// What a camera has sealed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct SendingFigures {
    /// Video frames sealed since the start.
    pub sealed_video: u64,
    /// Audio frames sealed since the start.
    pub sealed_audio: u64,
    /// Frames that could not be sealed, by reason.
    pub failed: Vec<Failed>,
    /// The MLS epoch in use.
    pub epoch: u64,
    /// Video frames sealed per second.
    pub fps: f64,
    /// Bits of sealed frames per second.
    pub bits_per_second: u64,
}

/// Frames that did not open, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Failed {
    /// Stable name of the reason.
    pub reason: String,
    /// How many.
    pub frames: u64,
}
