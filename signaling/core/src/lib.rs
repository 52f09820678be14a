//! Rules of signaling: who belongs to a household, whose commit came first, who may see which camera.
//!
//! No sockets and no clock: [`Signaling`](signaling::Signaling) answers requests over a [`Store`](store::Store),
//! takes the time and fresh randomness as arguments, and says in [`notice::Notice`]s whom to tell. It carries and
//! orders what devices signed; it can add nothing of its own. Of an MLS message it reads group id, epoch and
//! content type ([`framing`]).

pub mod access;
pub mod audit;
pub mod audit_pages;
pub mod challenge;
pub mod clock;
pub mod cursors;
pub mod deletion;
pub mod delivery;
pub mod directory;
pub mod export;
pub mod framing;
pub mod households;
pub mod invites;
pub mod key_packages;
pub mod mailboxes;
pub mod names;
pub mod notice;
pub mod rate;
pub mod rejoin;
pub mod relay_port;
pub mod sessions;
pub mod sign_in;
pub mod signaling;
pub mod store;
