//! The command line as people and programs meet it: every bad input is one sentence that says what to do, nothing is
//! lost, and what runs can be watched, stopped and read by machines.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests print what they saw")]

#[path = "cli/beside.rs"]
mod beside;
mod clips;
#[path = "cli/devices.rs"]
mod devices;
#[path = "cli/doctor.rs"]
mod doctor;
#[path = "cli/enrol.rs"]
mod enrol;
mod house;
#[path = "cli/household.rs"]
mod household;
#[path = "cli/https.rs"]
mod https;
#[path = "cli/live.rs"]
mod live;
#[path = "cli/machines.rs"]
mod machines;
#[path = "cli/program.rs"]
mod program;
#[path = "cli/settings.rs"]
mod settings;
#[path = "cli/unsendable.rs"]
mod unsendable;
