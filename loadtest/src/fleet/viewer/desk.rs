//! What the viewers of one thread share: buffers, and the counts that they add up in.

use std::time::Duration;

use latchkey_relay::batch::SendArena;

use crate::fleet::peer::PeerEvent;
use crate::measure::window::Window;

/// What the viewers of one thread share: buffers, counts.
pub(crate) struct Desk {
    pub(crate) arena: SendArena,
    pub(crate) events: Vec<PeerEvent>,
    pub(crate) bench: Bench,
    /// The longest that a datagram lay in its socket since this was taken.
    pub(crate) lag: Duration,
}

/// The part of it that frames are opened at.
#[derive(Default)]
pub(crate) struct Bench {
    pub(crate) window: Window,
    pub(crate) wire: Vec<u8>,
    pub(crate) scratch: Vec<u8>,
    pub(crate) picture: Vec<u8>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self { arena: SendArena::new(), events: Vec::new(), bench: Bench::default(), lag: Duration::ZERO }
    }
}
