//! Request and reply types of signaling, the signed device list, and the problem codes.
//!
//! Everything here is data: no sockets, no clocks, no tokio. The server answers with these types and
//! the client reads them; both check a device list with the same code. Field names are the JSON of the
//! wire; byte strings travel as base64url without padding ([`encoding::ByteString`]).

pub mod audit;
pub mod auth;
pub mod checks;
pub mod device;
pub mod device_list;
pub mod encoding;
pub mod event;
pub mod export;
pub mod group;
pub mod household;
pub mod id;
pub mod list;
pub mod mailbox;
pub mod probe;
pub mod problem;
pub mod session;
