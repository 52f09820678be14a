//! Figures of a running camera or viewer: totals since the start, and rates over the last second.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use web_time::Instant;

/// What a viewer has received and opened.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ViewerStats {
    /// Video frames opened since the start.
    pub opened_video: u64,
    /// Audio frames opened since the start.
    pub opened_audio: u64,
    /// Frames that did not open, by reason, since the start.
    pub failed: BTreeMap<&'static str, u64>,
    /// RTP packets received since the start, repaired ones among them.
    pub packets: u64,
    /// RTP packets that never came, since the start.
    pub packets_lost: u64,
    /// Frames given up because packets of them never came, since the start.
    pub frames_incomplete: u64,
    /// Packets thrown away because this program was too slow, since the start.
    pub overflow: u64,
    /// How often the media connection was made anew.
    pub reconnects: u64,
    /// Opened video frames per second, over the last second.
    pub fps: f64,
    /// Bits of opened frames per second, over the last second.
    pub bits_per_second: u64,
    /// Age of the newest opened video frame when it was opened, in milliseconds, by the camera's and
    /// this machine's clocks; absent before the first one. Negative when the clocks differ.
    pub age_ms: Option<i64>,
    /// Opened frames that the camera's signature covers, since the start. A frame gets its verdict a few
    /// seconds after it was opened.
    pub signed: u64,
    /// Opened frames whose signature did not come, since the start.
    pub unverified: u64,
    /// Opened frames that the camera did not make, since the start.
    pub forged: u64,
    /// What the newest of these verdicts say.
    pub authenticity: Authenticity,
    /// Whether the camera's own answer proves the last frame to be of now; absent while it has not answered.
    pub live: Option<bool>,
}

/// What the camera's signature says about the frames of the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum Authenticity {
    /// It has not come.
    #[default]
    #[serde(rename = "not verified")]
    NotVerified,
    /// They are the camera's.
    #[serde(rename = "signed by the camera")]
    Signed,
    /// Some of them are not the camera's.
    #[serde(rename = "forged")]
    Forged,
}

impl fmt::Display for Authenticity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotVerified => "not verified",
            Self::Signed => "signed by the camera",
            Self::Forged => "ALARM: forged frames",
        })
    }
}

impl ViewerStats {
    /// Returns how many frames did not open, for whatever reason.
    pub fn failed_total(&self) -> u64 {
        self.failed.values().sum()
    }
}

/// What a camera has sealed and sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CameraStats {
    /// Video frames sealed and handed to the relay connection since the start.
    pub sent_video: u64,
    /// Audio frames, likewise.
    pub sent_audio: u64,
    /// Frames dropped because there was no relay connection, since the start. They were not sealed.
    pub dropped: u64,
    /// Calls of the cipher since the start: one per frame sent, however many watch.
    pub aead_calls: u64,
    /// RTP packets sent since the start.
    pub packets: u64,
    /// Key frames the relay asked for since the start.
    pub key_frames_wanted: u64,
    /// How often the media connection was made anew.
    pub reconnects: u64,
    /// The MLS epoch in use.
    pub epoch: u64,
    /// The sender session of this run.
    pub session: u32,
    /// Video frames sent per second, over the last second.
    pub fps: f64,
    /// Bits of sealed frames per second, over the last second.
    pub bits_per_second: u64,
}

/// Counts frames and bytes into rates, one window at a time.
#[derive(Debug)]
pub struct RateWindow {
    began: Instant,
    frames: u32,
    bytes: u64,
}

impl RateWindow {
    /// A window that begins now.
    pub fn begin(now: Instant) -> Self {
        Self { began: now, frames: 0, bytes: 0 }
    }

    /// Counts bytes, and a frame where it is one of video.
    pub fn count(&mut self, bytes: usize, video: bool) {
        self.bytes += bytes as u64;
        self.frames += u32::from(video);
    }

    /// Returns frames and bits per second once the window is full, and begins the next one.
    pub fn turn(&mut self, now: Instant) -> Option<(f64, u64)> {
        let elapsed = now.duration_since(self.began);
        if elapsed < WINDOW {
            return None;
        }
        let seconds = elapsed.as_secs_f64();
        let fps = (f64::from(self.frames) / seconds * 10.0).round() / 10.0;
        let bits_per_second = (self.bytes as f64 * 8.0 / seconds) as u64;
        *self = Self::begin(now);
        Some((fps, bits_per_second))
    }
}

const WINDOW: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rates_are_per_second_of_the_window() {
        let now = Instant::now();
        let mut window = RateWindow::begin(now);
        for _ in 0..50 {
            window.count(1000, true);
        }
        window.count(1000, false);
        assert_eq!(window.turn(now + Duration::from_millis(999)), None);
        assert_eq!(window.turn(now + Duration::from_secs(2)), Some((25.0, 204_000)));
        assert_eq!(window.turn(now + Duration::from_secs(3)), Some((0.0, 0)));
    }
}
