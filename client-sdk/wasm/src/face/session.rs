//! Watches and cameras that run: their numbers, their way to the relay, the steps of their story.

use serde::{Deserialize, Serialize};

/// Which camera to watch.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct WatchCamera {
    /// Its id.
    pub camera: String,
}

/// A running watch, or a running camera. Its number goes into `RTCRtpScriptTransform` options.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Watch {
    /// Its number, in this worker.
    pub session: u32,
}

/// A running watch or camera by its number.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Session {
    /// Its number.
    pub session: u32,
}

/// A way to the relay: post the SDP offer to `url` with `grant` as bearer token. The grant opens no frame.
#[derive(Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Door {
    /// WHEP address of a watch, WHIP address of a camera.
    pub url: String,
    /// Goes into the header `Authorization: Bearer …`, never into an address.
    pub grant: String,
}

/// A step of the connection story that only the page sees.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TellStep {
    /// Whose.
    pub session: u32,
    /// Which.
    pub step: Step,
    /// Why it is not done, and with it all steps after it, also when they were done before: the connection is made
    /// anew. `null` when it is done.
    pub reason: Option<String>,
}

/// The steps between opening a camera and its picture, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// Signed in at the server.
    Signalling,
    /// The relay took grant and offer.
    Relay,
    /// A path to the relay was found (ICE).
    Ice,
    /// Keys for the hop to the relay are agreed (DTLS).
    Dtls,
    /// The first frame came (watch) or left (camera).
    FirstPacket,
    /// The frame key is known.
    KeyKnown,
    /// The first frame was opened (watch) or sealed (camera).
    FirstFrame,
}

/// A device that watches.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Watcher {
    /// Its id.
    pub device: String,
    /// What the household calls it.
    pub name: String,
}
