//! End-to-end demo and tests of Latchkey: real processes, real frames, and a search for what a server must not know.

pub mod breakpoint;
pub mod capture;
pub mod cli;
pub mod compare;
pub mod crew;
pub mod decoded;
pub mod demo;
pub mod door;
pub mod fleet;
pub mod hostile;
pub mod household;
pub mod leak;
pub mod live;
pub mod lossy;
pub mod measure;
pub mod observe;
pub mod outsider;
pub mod place;
pub mod process;
pub mod report;
pub mod run;
pub mod scenario;
pub mod scratch;
pub mod secrets;
pub mod server;
pub mod stop;
