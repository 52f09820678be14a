//! Watching a camera: what keeps the group followed, and what judges the frames that come.
//!
//! The *keeper* holds the membership, asks the camera whether its frames are fresh, and raises alarms; it tells its news to
//! whatever opens frames ([`news::News`]). The rest judges frames that were opened: whether they are the camera's own
//! ([`proof`]) and of now ([`live`]).

pub mod failure;
mod keeper;
pub mod live;
pub mod news;
pub mod opening;
pub mod proof;
pub mod waiting;
pub mod watch;
