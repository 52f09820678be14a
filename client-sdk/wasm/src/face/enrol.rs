//! How this browser comes into a household: it makes one, joins by an invite, shows itself to an admin, or recovers.

use serde::{Deserialize, Serialize};

use super::devices::{Role, Standing};

/// A household to be made.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct NewHousehold {
    /// Address of the server.
    pub server: String,
    /// What this device will be called.
    pub device_name: String,
}

/// The twelve words of a household: shown once, kept nowhere.
#[derive(Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Words {
    /// In their order.
    pub words: Vec<String>,
}

/// Founds what was prepared.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// The operator's invite code, where the server asks for one.
    pub invite_code: Option<String>,
}

/// Recovery by the twelve words.
#[derive(Clone, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Recover {
    /// Address of the household's server.
    pub server: String,
    /// The twelve words, with spaces between.
    pub words: String,
    /// What this device will be called.
    pub device_name: String,
    /// The admins of before stay admins.
    pub keep_admins: bool,
}

/// An invite code, or the link that carries it behind `#`.
#[derive(Clone, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct JoinByCode {
    /// The code or link, as it was pasted or opened.
    pub code: String,
}

/// How this device is shown to an admin.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Arrive {
    /// Address of the household's server.
    pub server: String,
    /// What it is.
    pub kind: Kind,
    /// How it shows itself.
    pub by: ArriveBy,
}

/// What a new device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// It will send.
    Camera,
    /// It will watch.
    Viewer,
}

/// How a new device shows itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum ArriveBy {
    /// By a code, drawn as a QR code.
    Code,
    /// By a number to be typed, and six digits to be compared.
    Number,
}

/// What this device shows while it waits.
#[derive(Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// The code or the number. Keep it from strangers' eyes.
    pub shown: String,
}

/// Whether both screens show the same digits.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct DigitsFit {
    /// Yes or no; a no ends it.
    pub fit: bool,
}

/// How far the arrival of this device is.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "is", rename_all = "camelCase")]
pub enum ArrivalStage {
    /// The admin typed the number: these digits are to be typed there.
    Digits {
        /// Six digits.
        digits: String,
    },
    /// The admin has invited it; it waits for the list.
    Invited {
        /// What it will be called.
        name: String,
        /// What it will be.
        role: Role,
        /// Six digits that the admin's screen shows, too.
        glance: String,
    },
    /// It is on the list.
    Listed {
        /// Where it stands now.
        standing: Standing,
    },
    /// It came to nothing.
    Failed {
        /// Why, and what to do.
        reason: String,
    },
}
