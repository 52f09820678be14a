//! A run: cameras and viewers come, stay, go, and are counted, as a scenario says.

pub mod schedule;
pub mod stage;
