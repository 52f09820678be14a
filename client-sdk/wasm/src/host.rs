//! What the device needs of the worker around it.

use latchkey_household::task::Portable;

use crate::face::event::Event;

/// The worker: it passes events on and hands frames in.
pub trait Host: Portable {
    /// Tells the page.
    fn tell(&self, event: Event);

    /// Keys or leave have come: frames of this session that wait should be tried again.
    fn retry(&self, session: u32);
}
