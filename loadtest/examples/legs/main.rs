//! The native legs of the browser tests: a camera and a viewer whose key the test gives, and a bad network before a relay.
//!
//! The first line of standard input is the order, as JSON; what happens is told on standard output, one object on each
//! line. The leg ends when its input ends, so none outlives the test that started it.

mod camera;
mod network;
mod sframe;
mod tap;
mod viewer;

use std::io::Write as _;

use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines, Stdin};

/// What the test wants.
#[derive(Deserialize)]
#[serde(tag = "leg", rename_all = "lowercase")]
enum Order {
    /// Publishes files, sealed.
    Camera(camera::Order),
    /// Watches and opens.
    Viewer(viewer::Order),
    /// Watches as a device of a household, and notes which keys and counters the frames were sealed under.
    Tap(tap::Order),
    /// Stands between clients and a relay.
    Network(network::Order),
}

/// Where a leg goes, and with what.
#[derive(Deserialize)]
struct Way {
    /// The whole WHIP or WHEP address.
    door: String,
    /// Bearer token.
    grant: String,
    /// SFrame base key as 32 hexadecimal digits.
    key: String,
}

/// Further lines of the order.
type Words = Lines<BufReader<Stdin>>;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut words = BufReader::new(tokio::io::stdin()).lines();
    let order = words.next_line().await?.unwrap_or_default();
    match serde_json::from_str(&order)? {
        Order::Camera(order) => camera::run(order, words).await,
        Order::Viewer(order) => viewer::run(order, words).await,
        Order::Tap(order) => tap::run(order, words).await,
        Order::Network(order) => network::run(&order, words).await,
    }
}

/// Tells the test one thing. A test that does not listen any more needs no telling.
fn tell(what: &Value) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{what}").and_then(|()| out.flush());
}

/// Returns when the input has ended.
async fn ended(words: &mut Words) {
    while let Ok(Some(_)) = words.next_line().await {}
}
