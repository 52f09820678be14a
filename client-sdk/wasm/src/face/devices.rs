//! What the page asks and learns of its household: where this browser stands, the list of devices, the cameras.

use serde::{Deserialize, Serialize};

/// Where this browser stands.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "is", rename_all = "camelCase")]
pub enum Standing {
    /// It belongs to no household yet.
    Nobody,
    /// It is a device of a household.
    Member(Member),
}

/// A device of a household: this one.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// The household's id.
    pub household: String,
    /// This device's id.
    pub device: String,
    /// What the household calls it.
    pub name: String,
    /// What it is; `null` while no list that names it is known, or when it was removed.
    pub role: Option<Role>,
    /// Address of the household's server.
    pub server: String,
}

/// What a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Sends.
    Camera,
    /// Watches, and signs the list.
    Admin,
    /// Watches.
    Viewer,
    /// Watches some cameras, for some days.
    Guest,
}

/// What a device may do with a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum Right {
    /// See and hear it.
    See,
    /// Speak through it.
    Talk,
    /// See what it recorded.
    History,
}

/// The devices of the household.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Devices {
    /// The version of the list; 0 before there is one.
    pub list_version: u64,
    /// In the list's order.
    pub devices: Vec<Device>,
}

/// One device of the household.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// Its id.
    pub id: String,
    /// What the household calls it.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// What it may do.
    pub rights: Vec<Right>,
    /// The cameras it may use; `null` for all.
    pub cameras: Option<Vec<String>>,
    /// Since when it is on the list.
    pub since: u64,
    /// When it ends; `null` for never.
    pub ends: Option<u64>,
    /// It is this one.
    pub this: bool,
}

/// A device by its id.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct DeviceRef {
    /// Its id.
    pub device: String,
}

/// A new name.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Rename {
    /// Whose.
    pub device: String,
    /// The name.
    pub name: String,
}

/// What to change of a device; what is left out stays.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[cfg_attr(test, ts(optional_fields))]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Which device.
    pub device: String,
    /// What it may do.
    #[serde(default)]
    pub rights: Option<Vec<Right>>,
    /// The cameras for which.
    #[serde(default)]
    pub cameras: Option<Vec<String>>,
    /// All cameras, instead of named ones.
    #[serde(default)]
    pub all_cameras: Option<bool>,
    /// Days that it stays from now on; 0 for ever.
    #[serde(default)]
    pub days: Option<u32>,
}

/// A list that was signed and that the server took.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ListSigned {
    /// Its version.
    pub list_version: u64,
    /// It also joined two histories.
    pub joined: bool,
}

/// The safety number.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct SafetyNumber {
    /// Twelve groups of five digits.
    pub groups: Vec<String>,
    /// What a QR code of it holds.
    pub qr: String,
    /// The list that it is of.
    pub list_version: u64,
}

/// The cameras this device may see.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Cameras {
    /// In the list's order.
    pub cameras: Vec<Camera>,
}

/// A camera.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Camera {
    /// Its id.
    pub id: String,
    /// What the household calls it.
    pub name: String,
    /// It is connected; `null` when the server does not say.
    pub live: Option<bool>,
}
