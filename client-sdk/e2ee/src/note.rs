//! Notes: what members tell each other inside the group, where the server cannot read it.
//!
//! A note is the plaintext of an MLS application message (RFC 9420 section 15), deterministic CBOR:
//!
//! ```text
//! [1, epoch record]                                                     the camera, after each commit
//! [2, nonce(16), list version, list hash(32), record head(32), [[epoch, authenticator hash(32)], ...]]
//! [3, nonce(16), camera time ms, [[kid, next ctr], ...], list version, list hash(32), record head(32),
//!     access log head(32), [device id(16), ...]]                        the camera, to a question
//! [4]                                                                   goodbye: stopped watching
//! ```
//!
//! Who sent it is the authenticated leaf of the MLS message, so a note names no sender. Kinds of later
//! versions are read as [`Note::Unknown`] and change nothing.

use ciborium::Value;
use latchkey_api::device_list::{ListHash, ListVersion};
use latchkey_api::id::DeviceId;

use crate::cbor::{array, bytes, fixed, number, pairs, read, write};
use crate::kid::Kid;

/// Most bytes a note may have.
pub const MAX_NOTE_BYTES: usize = 16 * 1024;
/// Epochs whose authenticators a question names at most.
pub const MAX_EPOCHS: usize = 8;
/// Key ids or devices that a note or record names at most.
pub const MAX_NAMED: usize = 256;

/// What one member tells the others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// The camera's record of an epoch: [`crate::record::EpochRecord::from_bytes`] reads it.
    Record(Vec<u8>),
    /// "I am watching. Are your frames fresh?", with the sender's view of household and group.
    Question(Question),
    /// The camera's answer.
    Answer(Answer),
    /// The sender has stopped watching.
    Goodbye,
    /// A kind that this version does not know.
    Unknown(u64),
}

/// The announcement of a viewer, with a nonce for the camera to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Random, never used before.
    pub nonce: [u8; 16],
    /// The newest list that the sender has verified.
    pub list: ListVersion,
    /// Hash of the newest epoch record that it has; zeros when it has none.
    pub record_head: [u8; 32],
    /// For its last epochs, the newest last: the epoch and the hash of its authenticator.
    pub epochs: Vec<(u64, [u8; 32])>,
}

/// What the camera says to a [`Question`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// That of the question.
    pub nonce: [u8; 16],
    /// The camera's clock in milliseconds since the Unix epoch.
    pub camera_ms: u64,
    /// The counter of the next frame per key id in use.
    pub counters: Vec<(Kid, u64)>,
    /// The newest list that the camera has verified.
    pub list: ListVersion,
    /// Hash of its newest epoch record; zeros when it has none.
    pub record_head: [u8; 32],
    /// Head of its access log, see [`crate::record::next_access_head`]; zeros when it is empty.
    pub access_head: [u8; 32],
    /// Who is watching, as far as devices said so.
    pub watching: Vec<DeviceId>,
}

/// Bytes are not a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// More than [`MAX_NOTE_BYTES`], or more names than [`MAX_NAMED`].
    #[error("the note is too large")]
    TooLarge,
    /// Not deterministic CBOR of a note's form.
    #[error("the note is malformed")]
    Malformed,
}

impl Note {
    /// The bytes to send.
    ///
    /// # Errors
    /// [`NoteError::TooLarge`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, NoteError> {
        let encoded = write(&self.to_value());
        if encoded.len() > MAX_NOTE_BYTES { Err(NoteError::TooLarge) } else { Ok(encoded) }
    }

    /// Reads what [`Self::to_bytes`] wrote. Other encodings of the same note are refused.
    ///
    /// # Errors
    /// [`NoteError::TooLarge`], [`NoteError::Malformed`].
    pub fn from_bytes(encoded: &[u8]) -> Result<Self, NoteError> {
        if encoded.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLarge);
        }
        let note = read(encoded).and_then(Self::from_value).ok_or(NoteError::Malformed)?;
        // One note, one encoding: what differs was not written by us.
        if !matches!(note, Self::Unknown(_)) && write(&note.to_value()) != encoded {
            return Err(NoteError::Malformed);
        }
        Ok(note)
    }

    fn to_value(&self) -> Value {
        Value::Array(match self {
            Self::Record(record) => vec![Value::from(RECORD), bytes(record)],
            Self::Question(question) => vec![
                Value::from(QUESTION),
                bytes(&question.nonce),
                Value::from(question.list.version),
                bytes(&question.list.hash.0),
                bytes(&question.record_head),
                Value::Array(
                    question
                        .epochs
                        .iter()
                        .map(|(epoch, hash)| Value::Array(vec![Value::from(*epoch), bytes(hash)]))
                        .collect(),
                ),
            ],
            Self::Answer(answer) => vec![
                Value::from(ANSWER),
                bytes(&answer.nonce),
                Value::from(answer.camera_ms),
                pairs(&answer.counters),
                Value::from(answer.list.version),
                bytes(&answer.list.hash.0),
                bytes(&answer.record_head),
                bytes(&answer.access_head),
                Value::Array(answer.watching.iter().map(|device| bytes(&device.0)).collect()),
            ],
            Self::Goodbye => vec![Value::from(GOODBYE)],
            Self::Unknown(kind) => vec![Value::from(*kind)],
        })
    }

    fn from_value(value: Value) -> Option<Self> {
        let mut fields = value.into_array().ok()?.into_iter();
        let kind = number(fields.next()?)?;
        let fields: Vec<Value> = fields.collect();
        Some(match kind {
            RECORD => {
                let [record] = <[Value; 1]>::try_from(fields).ok()?;
                Self::Record(record.into_bytes().ok()?)
            }
            QUESTION => {
                let [nonce, version, hash, record_head, epochs] = <[Value; 5]>::try_from(fields).ok()?;
                Self::Question(Question {
                    nonce: fixed(nonce)?,
                    list: ListVersion { version: number(version)?, hash: ListHash(fixed(hash)?) },
                    record_head: fixed(record_head)?,
                    epochs: array(epochs, MAX_EPOCHS, |pair| {
                        let [epoch, hash] = <[Value; 2]>::try_from(pair.into_array().ok()?).ok()?;
                        Some((number(epoch)?, fixed(hash)?))
                    })?,
                })
            }
            ANSWER => {
                let [nonce, time, counters, version, hash, record_head, access_head, watching] =
                    <[Value; 8]>::try_from(fields).ok()?;
                Self::Answer(Answer {
                    nonce: fixed(nonce)?,
                    camera_ms: number(time)?,
                    counters: array(counters, MAX_NAMED, crate::cbor::counter)?,
                    list: ListVersion { version: number(version)?, hash: ListHash(fixed(hash)?) },
                    record_head: fixed(record_head)?,
                    access_head: fixed(access_head)?,
                    watching: array(watching, MAX_NAMED, |device| fixed(device).map(DeviceId))?,
                })
            }
            GOODBYE if fields.is_empty() => Self::Goodbye,
            GOODBYE => return None,
            other => Self::Unknown(other),
        })
    }
}

const RECORD: u64 = 1;
const QUESTION: u64 = 2;
const ANSWER: u64 = 3;
const GOODBYE: u64 = 4;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn list() -> impl Strategy<Value = ListVersion> {
        any::<(u64, [u8; 32])>().prop_map(|(version, hash)| ListVersion { version, hash: ListHash(hash) })
    }

    fn counters() -> impl Strategy<Value = Vec<(Kid, u64)>> {
        let counter = (0..1_u64 << 56, any::<u64>());
        proptest::collection::vec(counter, 0..9)
            .prop_map(|all| all.into_iter().map(|(kid, ctr)| (Kid::from_value(kid).unwrap(), ctr)).collect())
    }

    fn note() -> impl Strategy<Value = Note> {
        let question = (
            any::<[u8; 16]>(),
            list(),
            any::<[u8; 32]>(),
            proptest::collection::vec(any::<(u64, [u8; 32])>(), 0..=MAX_EPOCHS),
        );
        let answer = (
            any::<([u8; 16], u64, [u8; 32], [u8; 32])>(),
            counters(),
            list(),
            proptest::collection::vec(any::<[u8; 16]>(), 0..64),
        );
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..2000).prop_map(Note::Record),
            question.prop_map(|(nonce, list, record_head, epochs)| Note::Question(Question {
                nonce,
                list,
                record_head,
                epochs
            })),
            answer.prop_map(|((nonce, camera_ms, record_head, access_head), counters, list, watching)| {
                let watching = watching.into_iter().map(DeviceId).collect();
                Note::Answer(Answer { nonce, camera_ms, counters, list, record_head, access_head, watching })
            }),
            Just(Note::Goodbye),
        ]
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(note in note()) {
            let encoded = note.to_bytes().unwrap();
            prop_assert_eq!(Note::from_bytes(&encoded), Ok(note));
        }

        #[test]
        fn arbitrary_bytes_do_no_harm(encoded in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(note) = Note::from_bytes(&encoded)
                && !matches!(note, Note::Unknown(_))
            {
                prop_assert_eq!(note.to_bytes().unwrap(), encoded);
            }
        }

        #[test]
        fn a_changed_byte_is_another_note_or_none(note in note(), at: prop::sample::Index, flip in 1_u8..) {
            let mut encoded = note.to_bytes().unwrap();
            let at = at.index(encoded.len());
            encoded[at] ^= flip;
            prop_assert_ne!(Note::from_bytes(&encoded), Ok(note));
        }
    }

    #[test]
    fn later_kinds_are_known_as_unknown() {
        assert_eq!(
            Note::from_bytes(&write(&Value::Array(vec![Value::from(9), bytes(b"later")]))),
            Ok(Note::Unknown(9))
        );
        assert_eq!(Note::from_bytes(&[0x81, 0x04]), Ok(Note::Goodbye));
        // The same number in two bytes: one note has one encoding.
        assert_eq!(Note::from_bytes(&[0x81, 0x18, 0x04]), Err(NoteError::Malformed));
        assert_eq!(Note::from_bytes(&[0x82, 0x04, 0x00]), Err(NoteError::Malformed));
        assert_eq!(Note::from_bytes(&vec![0; MAX_NOTE_BYTES + 1]), Err(NoteError::TooLarge));
    }
}
