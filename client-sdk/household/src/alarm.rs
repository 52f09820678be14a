//! What a device sees that an honest server, relay or member never does, in a code for programs and a sentence for people.

use std::fmt;

use latchkey_api::device_list::{ListError, Signer};
use latchkey_api::id::DeviceId;
use latchkey_e2ee::group::Refusal;
use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use crate::home::Home;

/// Somebody cheats, or looks like it. Its sentence says what was seen, what it may mean, and what to do.
///
/// As JSON it is its [`Self::code`] and its sentence: `{"code":"group-forked","text":"…"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Alarm {
    /// A list that the server shows does not verify, or does not follow the ones before it.
    ListInvalid {
        /// What is wrong with it.
        why: String,
    },
    /// The server shows fewer lists than this device has seen, or refuses to show any.
    ListRolledBack {
        /// The newest version that the server shows; 0 when it shows none.
        shown: u64,
        /// The newest version that this device has verified.
        pinned: u64,
    },
    /// Two signed lists of one version exist.
    TwoHistories {
        /// The version.
        version: u64,
        /// Who signed one and the other: names where they are known, else ids.
        signers: [String; 2],
    },
    /// A member names a newer list than the server shows.
    ListWithheld {
        /// The version that the member names.
        named: u64,
        /// The newest version that the server shows.
        shown: u64,
        /// The member: its name where it is known, else its id.
        by: String,
    },
    /// A commit, Welcome or proposal breaks a rule of the household and was refused.
    GroupRuleBroken {
        /// What it was: `commit`, `Welcome`, `note`.
        what: &'static str,
        /// The rule.
        refusal: Refusal,
    },
    /// The place of an epoch's commit holds something that cannot be processed: the group is stuck.
    JunkCommit {
        /// The epoch that it should have ended.
        epoch: u64,
        /// Why it cannot be processed.
        why: String,
    },
    /// Two devices have different groups for one epoch.
    GroupForked {
        /// The epoch.
        epoch: u64,
        /// Whose word differs from what this device has: its name where it is known, else its id.
        by: String,
    },
    /// Frames come, but the camera does not answer the question whether they are fresh.
    CameraSilent {
        /// How long it was waited, in seconds.
        seconds: u64,
    },
    /// Frames come later than the camera's own answer allows.
    Delayed {
        /// By how many milliseconds.
        ms: u64,
    },
    /// Frames are older by more than a group of pictures than the camera's own answer allows.
    Replayed {
        /// By how many frames of the track.
        frames: u64,
    },
    /// Frames that the camera's signature does not cover, or contradicts.
    ForgedFrames {
        /// What was found.
        what: String,
    },
    /// The camera's signed record of an epoch did not come, though pictures do.
    RecordMissing {
        /// The epoch.
        epoch: u64,
    },
    /// This device's clock is wrong, or the camera's.
    ClockWrong {
        /// By how many seconds this device is ahead; negative when it is behind.
        seconds: i64,
        /// Than whose clock.
        than: String,
    },
    /// The server gave out a key package that is not of the device it was asked for.
    WrongKeyPackage {
        /// The device: its name where it is known, else its id.
        device: String,
        /// What is wrong with it.
        why: String,
    },
}

impl Alarm {
    /// Returns the stable name of this kind of alarm.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ListInvalid { .. } => "list-invalid",
            Self::ListRolledBack { .. } => "list-rolled-back",
            Self::TwoHistories { .. } => "two-histories",
            Self::ListWithheld { .. } => "list-withheld",
            Self::GroupRuleBroken { .. } => "group-rule-broken",
            Self::JunkCommit { .. } => "junk-commit",
            Self::GroupForked { .. } => "group-forked",
            Self::CameraSilent { .. } => "camera-silent",
            Self::Delayed { .. } => "delayed",
            Self::Replayed { .. } => "replayed",
            Self::ForgedFrames { .. } => "forged-frames",
            Self::RecordMissing { .. } => "record-missing",
            Self::ClockWrong { .. } => "clock-wrong",
            Self::WrongKeyPackage { .. } => "wrong-key-package",
        }
    }
}

impl Alarm {
    /// The alarm for lists that the server showed and that were refused for `error`.
    pub fn of_lists(home: &Home, error: &ListError) -> Self {
        match error {
            ListError::TwoHistories { version, signers } => Self::TwoHistories {
                version: *version,
                signers: signers.map(|signer| match signer {
                    Signer::Root => "the recovery words".to_owned(),
                    Signer::Device(device) => name_of(home, device),
                }),
            },
            error => Self::ListInvalid { why: error.to_string() },
        }
    }
}

/// Returns what the household calls a device; its id where it has no name.
pub fn name_of(home: &Home, device: DeviceId) -> String {
    let entry = home.list().ok().and_then(|list| list.device(device));
    entry.map_or_else(|| device.to_string(), |entry| home.label(entry))
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ListInvalid { why } => write!(
                f,
                "the server shows a device list that is not valid ({why}); it was not taken: ask an admin whether the household was changed, and do not trust this server until that is clear"
            ),
            Self::ListRolledBack { shown: 0, pinned } => write!(
                f,
                "the server shows no device lists although list {pinned} exists; it may hide a removal: ask whoever runs the server"
            ),
            Self::ListRolledBack { shown, pinned } => write!(
                f,
                "the server shows device lists only up to {shown} although list {pinned} exists; it may hide a removal: ask whoever runs the server"
            ),
            Self::TwoHistories { version, signers: [one, other] } => write!(
                f,
                "two different device lists {version} are signed, one by {one} and one by {other}; one of them may be in strange hands: compare safety numbers, then an admin joins them by any change of the list of devices"
            ),
            Self::ListWithheld { named, shown, by } => write!(
                f,
                "{by} knows device list {named}, the server shows only {shown}; it may hide a removal: ask whoever runs the server"
            ),
            Self::GroupRuleBroken { what, refusal } => write!(
                f,
                "a {what} of the group was refused: {refusal}; somebody may be trying to get in: check the server and look at the list of devices"
            ),
            Self::JunkCommit { epoch, why } => write!(
                f,
                "the change that should end epoch {epoch} of the group cannot be used ({why}), so the group is stuck; server or a member may be blocking it: have an admin renew the camera's group"
            ),
            Self::GroupForked { epoch, by } => write!(
                f,
                "{by} has another group for epoch {epoch} than this device; the server may be splitting the household: check the server on both and compare safety numbers"
            ),
            Self::CameraSilent { seconds } => write!(
                f,
                "pictures come, but the camera has not answered for {seconds} s whether they are fresh; they may be old ones: do not take them as live"
            ),
            Self::Delayed { ms } => write!(
                f,
                "pictures come {ms} ms later than they should; the relay may be holding them back: do not take them as live"
            ),
            Self::Replayed { frames } => write!(
                f,
                "pictures are {frames} frames behind what the camera says it has sent; the relay may be showing old ones: do not take them as live"
            ),
            Self::ForgedFrames { what } => write!(
                f,
                "pictures are not what the camera signed ({what}); a member may be forging the camera: look at the list of devices for one you do not know"
            ),
            Self::RecordMissing { epoch } => write!(
                f,
                "the camera's record of epoch {epoch} has not come though pictures do; the server may be keeping it back to hide who is in the group: check the server, and ask whoever runs it"
            ),
            Self::ClockWrong { seconds, than } => {
                let side = if *seconds < 0 { "behind" } else { "ahead of" };
                write!(
                    f,
                    "the clock of this device is {} s {side} {than}; one of the two is wrong: set both by the network",
                    seconds.unsigned_abs()
                )
            }
            Self::WrongKeyPackage { device, why } => write!(
                f,
                "the server gave out a key for {device} that is not good ({why}); it was not used: have the device watch a camera once, and ask whoever runs the server if this stays"
            ),
        }
    }
}

impl Serialize for Alarm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut alarm = serializer.serialize_struct("Alarm", 2)?;
        alarm.serialize_field("code", self.code())?;
        alarm.serialize_field("text", &self.to_string())?;
        alarm.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_for_people_and_a_code_for_programs() {
        let alarms = [
            Alarm::ListInvalid { why: "bad signature".to_owned() },
            Alarm::ListRolledBack { shown: 3, pinned: 4 },
            Alarm::TwoHistories { version: 4, signers: ["phone".to_owned(), "tablet".to_owned()] },
            Alarm::ListWithheld { named: 5, shown: 4, by: "camera".to_owned() },
            Alarm::GroupRuleBroken { what: "commit", refusal: Refusal::ExternalCommit },
            Alarm::JunkCommit { epoch: 7, why: "not an MLS message".to_owned() },
            Alarm::GroupForked { epoch: 7, by: "camera".to_owned() },
            Alarm::CameraSilent { seconds: 15 },
            Alarm::Delayed { ms: 5000 },
            Alarm::Replayed { frames: 60 },
            Alarm::ForgedFrames { what: "frame 9".to_owned() },
            Alarm::RecordMissing { epoch: 7 },
            Alarm::ClockWrong { seconds: -301, than: "the camera's".to_owned() },
            Alarm::WrongKeyPackage { device: "phone".to_owned(), why: "it is of another".to_owned() },
        ];
        let mut codes: Vec<_> = alarms.iter().map(Alarm::code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), alarms.len(), "a code stands for one kind");
        for alarm in &alarms {
            let text = alarm.to_string();
            assert!(text.contains(": "), "says what to do: {text}");
            assert!(!text.contains('\n') && !text.ends_with('.'), "{text}");
        }
        assert!(alarms[12].to_string().contains("301 s behind"), "{}", alarms[12]);
    }
}
