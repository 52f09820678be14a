//! The server over real HTTP on loopback: every rule, asked as a client would.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests print what they saw")]

mod acme;
mod audit;
mod client;
mod data;
mod errors;
mod events;
mod groups;
mod home;
mod https;
mod invites;
mod key_packages;
mod limits;
mod lists;
mod mailboxes;
mod mls;
mod process;
mod recovery;
mod relay;
mod running;
mod sessions;
mod sign_in;
mod survival;
mod web;
