//! What the page and the worker say to each other: calls with their replies, and events. TypeScript is made from these types.
//!
//! Nothing here is a key: device, household and frame keys stay in the worker. Ids are base64url text, times are
//! milliseconds since the Unix epoch unless a field says otherwise.

use serde::{Deserialize, Serialize};

/// Declares the calls once: their request and reply enums, and for TypeScript the map from a call's name to both.
macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident, $variant:ident: $ask:ty => $reply:ty;)*) => {
        /// A call of the page: its name under `call`, its argument under `with`.
        #[derive(Clone, Deserialize)]
        #[serde(tag = "call", content = "with", rename_all = "camelCase")]
        pub enum Request {
            $($(#[$doc])* $variant($ask),)*
        }

        /// What a call comes to, without its name.
        #[derive(Clone, Serialize)]
        #[serde(untagged)]
        pub enum Reply {
            $($(#[$doc])* $variant($reply),)*
        }

        /// Every call: `[argument, reply]` by its name.
        #[cfg(test)]
        #[derive(ts_rs::TS)]
        #[ts(rename_all = "camelCase")]
        #[allow(dead_code)]
        pub(crate) struct Calls {
            $($(#[$doc])* $name: ($ask, $reply),)*
        }
    };
}

calls! {
    /// Loads what this browser keeps and says where it stands. The first call of every page.
    open, Open: Nothing => Standing;
    /// Makes the keys of a new household, of which nobody is told yet. Show the words once and ask some back.
    prepare_household, PrepareHousehold: NewHousehold => Words;
    /// Founds the prepared household with this device as its first admin.
    found, Found: Found => Standing;
    /// Joins by the invite code or link that an admin made. Waits for the admin.
    join, Join: JoinByCode => Standing;
    /// Shows this device to an admin, by a code to be scanned or a number to be typed; [`Event::Arrival`] tells the rest.
    arrive, Arrive: Arrive => Waiting;
    /// Says whether the admin's device shows the same six digits.
    digits_fit, DigitsFit: DigitsFit => Nothing;
    /// Becomes an admin of the household of these words.
    recover, Recover: Recover => Standing;
    /// Gives up waiting, inviting or letting in, whichever is under way. Nothing has happened then.
    cancel, Cancel: Nothing => Nothing;

    /// Makes an invite code; [`Event::Invite`] tells what came of it.
    invite, Invite: Terms => InviteCode;
    /// Meets the new device whose code was scanned or whose number was typed.
    let_in, LetIn: LetIn => Met;
    /// Types the digits that the new device shows.
    type_digits, TypeDigits: TypedDigits => DigitsVerdict;
    /// Invites the device that was met and waits for its yes. Nothing is signed yet.
    confirm, Confirm: Nothing => LastGlance;
    /// Signs the list that has the device that said yes.
    admit, Admit: Nothing => Admitted;

    /// The newest verified list.
    devices, Devices: Nothing => Devices;
    /// Removes a device; [`Event::Removal`] tells when each camera has changed its keys.
    remove, Remove: DeviceRef => ListSigned;
    /// Gives a device another name.
    rename, Rename: Rename => ListSigned;
    /// Changes what a device may do, and until when.
    change, Change: Change => ListSigned;
    /// Has a camera found its next group.
    renew_camera, RenewCamera: DeviceRef => ListSigned;
    /// The sixty digits that all devices of the household show.
    safety_number, SafetyNumber: Nothing => SafetyNumber;
    /// The cameras this device may see.
    cameras, Cameras: Nothing => Cameras;
    /// Erases everything this browser keeps of the household. It stays on the list until an admin removes it.
    forget, Forget: Nothing => Nothing;

    /// Begins to follow a camera's group and to open its frames.
    watch, Watch: WatchCamera => Watch;
    /// Asks the server for a way to the relay; good for one connection.
    door, Door: Session => Door;
    /// Tells the connection story what the page alone sees: a step is done, or why it is not.
    tell_step, TellStep: TellStep => Nothing;
    /// Stops watching, and says so to the household.
    unwatch, Unwatch: Session => Nothing;
    /// Begins to keep this camera's group and to seal its frames. For a device that joined as a camera.
    publish, Publish: Nothing => Watch;
    /// Stops being a camera for now.
    unpublish, Unpublish: Session => Nothing;
}

/// No argument, or nothing to reply.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Nothing {}

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

/// A device that watches.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Watcher {
    /// Its id.
    pub device: String,
    /// What the household calls it.
    pub name: String,
}

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

/// Frames that did not open, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Failed {
    /// Stable name of the reason.
    pub reason: String,
    /// How many.
    pub frames: u64,
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

/// Why a call did nothing, or not everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Fault {
    /// Stable name of the kind: a problem code of the server, or one of this face.
    pub code: String,
    /// What was wrong and what to do, in one sentence.
    pub text: String,
}
