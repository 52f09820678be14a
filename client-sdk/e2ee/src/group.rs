//! One MLS group per camera (RFC 9420), in which exactly the devices are that the signed list entitles.
//!
//! The camera sits at leaf 0 and commits: [`CameraGroup`]. Every other device is a [`Member`]. Both check
//! every commit and every Welcome inside the hooks of the MLS library and refuse what they do not know:
//!
//! - The GroupContext names one signed list by version and hash, and the camera's time. Neither version
//!   nor time ever falls.
//! - Every commit carries a new such extension. The roster after the commit is recomputed and checked,
//!   all of it, against exactly the list it names: id, household, signature key, right to see, lifetime.
//! - The camera commits anything; an admin commits removals of devices that the list no longer entitles.
//!   Commits of others, external commits and senders, ReInit and PSK proposals are errors.
//!
//! A device that does not know the list a commit names does not guess: it answers
//! [`Refusal::UnknownList`], the caller fetches lists and tries again.
//!
//! Inside the group members tell each other notes ([`crate::note`]), sealed for members and signed by their
//! senders. They change nothing in the group.
//!
//! State is written before anything is sent: call `save` after every call that takes `&mut self`, store
//! the bytes, then send what the call returned.

mod blob;
mod camera;
mod clock;
mod credential;
mod engine;
mod error;
mod heard;
mod key_packages;
mod library;
mod list_ref;
mod member;
mod outcome;
mod policy;
mod proposals;
mod public_state;
mod sessions;
mod storage;
mod suite;

pub use camera::{CameraGroup, ClaimedPackage, RefusedPackage, Synced};
pub use clock::CommitTime;
pub use engine::MAX_MESSAGE_BYTES;
pub use error::{GroupError, Refusal};
pub use key_packages::{KeyPackages, LAST_RESORTS};
pub use list_ref::ListRef;
pub use member::Member;
pub use outcome::{EpochChange, PendingCommit, Processed, WelcomeFor};
pub use sessions::MAX_SESSIONS;
