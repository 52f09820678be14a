//! Which alarm a message of the group, or a difference between two members, is.

use latchkey_api::checks::{self, Check};
use latchkey_api::device_list::Signer;
use latchkey_api::group::{GroupMessage, MessageKind};
use latchkey_api::id::DeviceId;
use latchkey_e2ee::gossip::Difference;
use latchkey_e2ee::group::GroupError;

use crate::alarm::{Alarm, name_of};
use crate::home::Home;

/// The alarm for something that `from` names differently, after lists were fetched; nothing when it is settled.
pub(crate) fn alarm_of(home: &Home, difference: Difference, from: DeviceId) -> Option<Alarm> {
    let by = name_of(home, from);
    match difference {
        Difference::ListAhead { version } => {
            home.chain().at(version).is_none().then(|| withheld(home, version, from))
        }
        Difference::ListDiffers { version } => {
            let ours = match home.chain().at(version)?.list().signer {
                Signer::Root => "the recovery words".to_owned(),
                Signer::Device(device) => name_of(home, device),
            };
            Some(Alarm::TwoHistories { version, signers: [ours, format!("somebody that only {by} knows")] })
        }
        Difference::EpochDiffers { epoch } | Difference::RecordDiffers { epoch } => {
            Some(Alarm::GroupForked { epoch, by })
        }
        _ => None,
    }
}

/// The alarm for a message of the group that could not be used in `epoch`; nothing when it is harmless. `stuck` says
/// that a commit before it could not be used: then messages of later epochs are no further alarm.
pub(crate) fn explain(
    message: &GroupMessage,
    error: &GroupError,
    epoch: u64,
    camera: &str,
    stuck: bool,
) -> Option<Alarm> {
    let in_slot = message.kind == MessageKind::Commit && message.epoch == epoch;
    match error {
        GroupError::JunkCommit { .. } if checks::skipped(Check::CommitSlot) => None,
        GroupError::Gap { .. } | GroupError::UnreadableNote { .. } if checks::skipped(Check::OneGroup) => {
            None
        }
        GroupError::Refused(refusal) => {
            let what = match message.kind {
                MessageKind::Commit => "commit",
                MessageKind::Proposal => "proposal",
                MessageKind::Application => "note",
            };
            Some(Alarm::GroupRuleBroken { what, refusal: *refusal })
        }
        GroupError::JunkCommit { epoch, why } => Some(Alarm::JunkCommit { epoch: *epoch, why: why.clone() }),
        GroupError::Gap { found, .. } if !stuck => {
            Some(Alarm::GroupForked { epoch: *found, by: camera.to_owned() })
        }
        GroupError::UnreadableNote { epoch } => Some(Alarm::GroupForked {
            epoch: *epoch,
            by: "whoever sent a note that cannot be opened".to_owned(),
        }),
        error if in_slot && !checks::skipped(Check::CommitSlot) => {
            Some(Alarm::JunkCommit { epoch, why: error.to_string() })
        }
        _ => None,
    }
}

/// The alarm for a list that `by` knows and the server does not show.
pub(super) fn withheld(home: &Home, named: u64, by: DeviceId) -> Alarm {
    let shown = home.chain().head().map_or(0, |head| head.list().version);
    Alarm::ListWithheld { named, shown, by: name_of(home, by) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_api::encoding::ByteString;
    use latchkey_e2ee::group::Refusal;

    fn code(kind: MessageKind, epoch: u64, error: &GroupError, stuck: bool) -> Option<&'static str> {
        let message = GroupMessage { seq: 9, kind, epoch, message: ByteString(Vec::new()) };
        explain(&message, error, 5, "door", stuck).map(|alarm| alarm.code())
    }

    #[test]
    fn what_cannot_be_used_has_its_alarm() {
        use MessageKind::{Application, Commit, Proposal};
        let refused = GroupError::Refused(Refusal::ExternalCommit);
        assert_eq!(code(Commit, 5, &refused, false), Some("group-rule-broken"));
        assert_eq!(code(Proposal, 5, &refused, false), Some("group-rule-broken"));
        // In the place of the present epoch nothing but its commit may lie.
        let junk = GroupError::JunkCommit { epoch: 5, why: "no".to_owned() };
        assert_eq!(code(Commit, 5, &junk, false), Some("junk-commit"));
        assert_eq!(code(Commit, 5, &GroupError::Malformed, false), Some("junk-commit"));
        assert_eq!(code(Application, 5, &GroupError::Malformed, false), None);
        let unreadable = GroupError::UnreadableNote { epoch: 5 };
        assert_eq!(code(Application, 5, &unreadable, false), Some("group-forked"));
        // A commit was left out; after one that could not be used that is no news.
        let gap = GroupError::Gap { expected: 5, found: 7 };
        assert_eq!(code(Application, 7, &gap, false), Some("group-forked"));
        assert_eq!(code(Application, 7, &gap, true), None);
    }
}
