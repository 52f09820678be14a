//! Rooms that span shards: what came for one is handed over once per batch to every shard that has viewers of it.

mod branches;
pub(super) mod message;
pub(super) mod neighbours;
mod pool;
