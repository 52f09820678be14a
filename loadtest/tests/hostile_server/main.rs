//! A server and a relay that cheat, before real clients: each lie is refused or raises its alarm, and succeeds once the one check against it is off.
#![allow(clippy::print_stdout, unreachable_pub)] // one line for each case, for whoever runs it

mod ghost;
mod group;
mod lies;
mod lists;
mod outside;
mod relay;
mod stage;
mod unchecked;
