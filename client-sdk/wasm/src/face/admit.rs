//! How an admin lets a new device in: the terms, the invite or the meeting, the digits, the signed list.

use serde::{Deserialize, Serialize};

use super::devices::{Right, Role};
use super::enrol::Kind;

/// What a new device will be.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Terms {
    /// What it will be.
    pub role: Role,
    /// What it will be called.
    pub name: String,
    /// What it may do; `null` for everything (for a camera: nothing).
    pub rights: Option<Vec<Right>>,
    /// The cameras it may use; `null` for all. Guests name theirs.
    pub cameras: Option<Vec<String>>,
    /// Days that it stays; `null` for ever. Guests stay 1 to 30.
    pub days: Option<u32>,
}

/// An invite code: good once, for ten minutes, while this page is open.
#[derive(Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct InviteCode {
    /// The code. Put it behind `#` of the app's address for a link.
    pub code: String,
}

/// A new device that an admin lets in.
#[derive(Clone, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct LetIn {
    /// The code that was scanned, or the number that was typed.
    pub shown: String,
    /// What it will be.
    pub terms: Terms,
}

/// How the admin and the new device met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "is", rename_all = "camelCase")]
pub enum Met {
    /// By its code: nobody can be in between.
    Sure {
        /// What it says it is.
        kind: Kind,
    },
    /// By its number: the digits that it shows are to be typed here.
    AskDigits,
}

/// Digits as they were typed.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TypedDigits {
    /// The digits; spaces do not matter.
    pub digits: String,
}

/// What the typed digits are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "is", rename_all = "camelCase")]
pub enum DigitsVerdict {
    /// The right ones.
    Fit,
    /// Not six digits: type them again.
    NotDigits,
    /// Wrong ones.
    Wrong {
        /// How often they may be typed again; with 0 left it is over.
        left: u8,
    },
}

/// Digits that both screens show.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct LastGlance {
    /// Six digits.
    pub digits: String,
}

/// A device that is on the list now.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Admitted {
    /// Its id.
    pub device: String,
    /// The list that has it.
    pub list_version: u64,
}
