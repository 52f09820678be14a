//! One direction of a viewer's network: what goes in comes out later, in the same order, or never.

use std::time::Instant;

use str0m_netem::{Input, Netem, NetemConfig, Output};

use crate::fleet::network::Parcel;

/// One direction.
pub(crate) struct NetworkWay {
    netem: Netem<Parcel>,
    /// When the last one came out: order is kept, so none behind it comes out before.
    last_out: Option<Instant>,
}

impl NetworkWay {
    pub(crate) fn new(conditions: NetemConfig) -> Self {
        Self { netem: Netem::new(conditions), last_out: None }
    }

    /// Takes one in, or loses it.
    pub(crate) fn take_in(&mut self, now: Instant, parcel: Parcel) {
        self.netem.handle_input(Input::Packet(now, parcel));
    }

    /// Returns the next one that is due by `now`, with the moment at which it was.
    pub(crate) fn let_out(&mut self, now: Instant) -> Option<(Parcel, Instant)> {
        if self.netem.is_empty() {
            return None;
        }
        let due = self.netem.poll_timeout();
        if due > now {
            return None;
        }
        self.netem.handle_input(Input::Timeout(now));
        let Some(Output::Packet(parcel)) = self.netem.poll_output() else { return None };
        let out_at = self.last_out.map_or(due, |last| last.max(due));
        self.last_out = Some(out_at);
        Some((parcel, out_at))
    }

    /// Returns when [`NetworkWay::let_out`] has something next.
    pub(crate) fn due(&self) -> Option<Instant> {
        (!self.netem.is_empty()).then(|| self.netem.poll_timeout())
    }
}
