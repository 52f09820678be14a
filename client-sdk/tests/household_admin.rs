//! What an admin does with the household, against a real server: removing, changing, recovering, verifying, giving away.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests print what they saw")]

#[path = "household_admin/command.rs"]
mod command;
#[path = "household_admin/handover.rs"]
mod handover;
mod house;
#[path = "household_admin/recovery.rs"]
mod recovery;
#[path = "household_admin/removal.rs"]
mod removal;
#[path = "household_admin/verifying.rs"]
mod verifying;
