//! What the worker tells by itself.

use serde::Serialize;

use super::admit::Admitted;
use super::devices::Devices;
use super::enrol::ArrivalStage;
use super::figures::{Figures, SendingFigures};
use super::session::{Step, Watcher};

/// What the worker tells by itself.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// A newer list is verified.
    ListChanged {
        /// The devices now.
        devices: Devices,
    },
    /// What a new list changed, in one sentence.
    Notice {
        /// Stable name of the kind of change.
        code: String,
        /// The sentence.
        text: String,
    },
    /// Somebody cheats, or looks like it.
    Alarm {
        /// The watch or camera it came up in; `null` for the household.
        session: Option<u32>,
        /// Stable name of the kind of alarm.
        code: String,
        /// What was seen, what it may mean, what to do.
        text: String,
    },
    /// How the arrival of this device goes.
    Arrival {
        /// How far it is.
        stage: ArrivalStage,
    },
    /// What came of an invite code.
    Invite {
        /// The device that joined; `null` when nobody did.
        admitted: Option<Admitted>,
        /// Why nobody joined.
        reason: Option<String>,
    },
    /// A camera has changed its keys after a removal, or is still to.
    Removal {
        /// The device that was removed.
        device: String,
        /// The camera.
        camera: String,
        /// The camera's name.
        camera_name: String,
        /// The epoch from which on the device opens nothing more; `null` while that is pending.
        epoch: Option<u64>,
        /// Why it is pending.
        reason: Option<String>,
    },
    /// A step of the connection story is done.
    StepDone {
        /// Whose.
        session: u32,
        /// Which.
        step: Step,
        /// Milliseconds since the story began.
        ms: u64,
    },
    /// A step is not done yet; it is tried again.
    Trying {
        /// Whose.
        session: u32,
        /// Which.
        step: Step,
        /// Why not yet.
        reason: String,
    },
    /// A new epoch: the next frame is sealed with its keys.
    NewEpoch {
        /// Whose.
        session: u32,
        /// The MLS epoch.
        epoch: u64,
        /// How many devices hold its keys, the camera among them.
        members: u32,
    },
    /// The camera's signed record of an epoch is there and fits.
    EpochRecord {
        /// Whose.
        session: u32,
        /// The epoch that began.
        epoch: u64,
        /// The list that it rests on.
        list_version: u64,
    },
    /// Who watches now, as far as devices say so themselves.
    Watching {
        /// Of which watch or camera.
        session: u32,
        /// The devices.
        devices: Vec<Watcher>,
    },
    /// Figures of the last second of a watch.
    Figures {
        /// Whose.
        session: u32,
        /// The figures.
        figures: Figures,
    },
    /// Figures of the last second of a camera.
    Sending {
        /// Whose.
        session: u32,
        /// The figures.
        figures: SendingFigures,
    },
    /// The camera seals nothing for now, or seals again.
    Sealing {
        /// Whose.
        session: u32,
        /// What it waits for; `null` when it seals.
        stopped: Option<String>,
    },
    /// Something to know that stops nothing.
    Note {
        /// Whose; `null` for the household.
        session: Option<u32>,
        /// The sentence.
        text: String,
    },
    /// A watch or camera is over.
    Ended {
        /// Which.
        session: u32,
        /// Why.
        reason: String,
    },
}
