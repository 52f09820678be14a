//! The same work for two servers, ours and another's: same cameras, same viewers, same steps, in turn, several rounds.
//!
//! ```text
//!   round 1: ours ─▶ theirs    round 2: ours ─▶ theirs    ...    ─▶ medians, smallest and largest, ratios
//! ```
//! Frames go to ours sealed, as they always do. Another server takes no sealed frames apart from ours, so that it gets the
//! same frames unsealed, and therefore nothing but made-up pictures: never a clip, never a camera of anybody.

pub mod foreign;
pub mod table;
