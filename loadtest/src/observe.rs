//! What a run costs, seen from outside: the server's metrics and process, the machine, and the driver itself.
//!
//! Everything here is optional: a server on another machine has no process to look at, a foreign one no metrics of ours,
//! and each is told as absent, never as an error.

pub mod machine;
pub mod metrics;
pub mod process;
pub mod server;
