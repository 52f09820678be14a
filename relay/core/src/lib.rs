//! Sans-I/O forwarding of sealed packets: one publisher's tracks to every viewer of a room.
//!
//! Nothing here reads a frame, holds a key, opens a socket or looks at a clock. A shell drives a [`room::Room`] like this:
//!
//! 1. Per batch of datagrams: [`Room::ingest`](room::Room::ingest) every opened packet of the publisher, then
//!    [`Room::forward`](room::Room::forward) once. Packets come out viewer by viewer through the [`sink::Sink`].
//! 2. A viewer's RTCP goes to [`Room::nack`](room::Room::nack),
//!    [`Room::key_frame_requested`](room::Room::key_frame_requested),
//!    [`Room::transport_feedback`](room::Room::transport_feedback),
//!    [`Room::reception_report`](room::Room::reception_report) and
//!    [`Room::receiver_estimate`](room::Room::receiver_estimate), the publisher's sender reports to
//!    [`Room::sender_report`](room::Room::sender_report).
//! 3. At [`Room::poll_timeout`](room::Room::poll_timeout) call [`Room::handle_timeout`](room::Room::handle_timeout).
//! 4. After any of these, take [`event::Event`]s until there is none, and now and then
//!    [`Room::take_stats`](room::Room::take_stats).
//!
//! A packet's way: `room` finds its `track`, which puts it on the track's `timeline`, checks its shape, and stores it in the
//! `history`. For each viewer its `subscription` walks the history: the `selector` keeps or leaves out, the `munger` numbers,
//! `header` writes the leg's own header, and the payload is shared. Repairs and joining viewers read the same history.
//! What a viewer's path carries is [`bandwidth`]'s to say; the `pacer` spreads what is more. A room on several threads has one home,
//! which puts what came into [`Parcel`]s, and branches, which take them in.

pub mod bandwidth;
pub mod config;
pub mod event;
pub mod id;
pub mod rate;
mod rates;
pub mod room;
pub mod sink;
pub mod stats;
pub mod subscription;
pub mod track;

mod gop;
mod header;
mod history;
mod keyframe;
mod ladder;
mod munger;
mod news;
mod pace;
mod pacer;
mod parcel;
mod pause;
mod report;
mod roster;
mod selector;
mod timeline;
mod tracks;
mod train;
mod upstream;

pub use config::RoomConfig;
pub use event::{Event, MissingPackets, StartedFrom};
pub use header::Mid;
pub use id::{Rid, SubscriberId, TrackId};
pub use parcel::Parcel;
pub use rate::{Allowance, Exceeded, Rate, TokenBucket};
pub use room::{PublishError, Room, Seeding, SubscribeError};
pub use sink::{Outgoing, OutgoingKind, SenderReport, Sink};
pub use stats::{DropReason, Stats};
pub use subscription::{Origin, RtxParams, SubscriptionParams};
pub use track::TrackParams;
