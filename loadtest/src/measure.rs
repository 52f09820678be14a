//! What a run counts: tallies, latency histograms, and the lines that tell of them.
//!
//! ```text
//!   driver threads ─▶ Window (a second) ─▶ Summary (a step, the run) ─▶ Line (JSON) ─▶ report, table, verdict
//! ```
//! Everything here is plain data that adds up; nothing here looks at a clock, a socket or a file.

pub mod latency;
pub mod line;
pub mod tally;
pub mod window;
