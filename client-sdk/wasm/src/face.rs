//! What the page and the worker say to each other: calls with their replies, and events. TypeScript is made from these types.
//!
//! ```text
//! page  Request {name: ..}    ▶  worker    devices, enrol, admit, session: the arguments and replies, by what they are about
//! page  Reply, or a Fault     ◀  worker
//! page  Event                 ◀  worker    event: what comes unasked, with the figures
//! ```
//!
//! Nothing here is a key: device, household and frame keys stay in the worker. Ids are base64url text, times are
//! milliseconds since the Unix epoch unless a field says otherwise.

pub mod admit;
pub mod devices;
pub mod enrol;
pub mod event;
pub mod figures;
pub mod session;

use serde::{Deserialize, Serialize};

use admit::{Admitted, DigitsVerdict, InviteCode, LastGlance, LetIn, Met, Terms, TypedDigits};
use devices::{Cameras, Change, DeviceRef, Devices, ListSigned, Rename, SafetyNumber, Standing};
use enrol::{Arrive, DigitsFit, Found, JoinByCode, NewHousehold, Recover, Waiting, Words};
use session::{Door, Session, TellStep, Watch, WatchCamera};

/// Declares the calls once: their request and reply enums, and for TypeScript the map from a call's name to both.
macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident, $variant:ident: $ask:ty => $reply:ty;)*) => {
        /// A call of the page: its argument under its name. Under `call` and `with` it would be read in two ways, of
        /// which each is 20 KB of the module.
        #[derive(Clone, Deserialize)]
        #[serde(rename_all = "camelCase")]
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
    /// Shows this device to an admin, by a code to be scanned or a number to be typed; the event `arrival` tells the rest.
    arrive, Arrive: Arrive => Waiting;
    /// Says whether the admin's device shows the same six digits.
    digits_fit, DigitsFit: DigitsFit => Nothing;
    /// Becomes an admin of the household of these words.
    recover, Recover: Recover => Standing;
    /// Gives up waiting, inviting or letting in, whichever is under way. Nothing has happened then.
    cancel, Cancel: Nothing => Nothing;

    /// Makes an invite code; the event `invite` tells what came of it.
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
    /// Removes a device; the event `removal` tells when each camera has changed its keys.
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

/// Why a call did nothing, or not everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Fault {
    /// Stable name of the kind: a problem code of the server, or one of this face.
    pub code: String,
    /// What was wrong and what to do, in one sentence.
    pub text: String,
}
