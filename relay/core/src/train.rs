//! What one viewer gets in one call: opened in the sink with its first packet, closed at the end, counted in between.

use std::time::Instant;

use crate::bandwidth::Path;
use crate::event::Event;
use crate::id::SubscriberId;
use crate::news::News;
use crate::sink::{Outgoing, SenderReport, Sink};
use crate::stats::Stats;

/// Passes packets of one viewer on to the sink.
pub(crate) struct Train<'a, S: Sink> {
    sink: &'a mut S,
    news: &'a mut News,
    subscriber: SubscriberId,
    path: &'a mut Path,
    now: Instant,
    paced: bool,
    begun: bool,
}

impl<'a, S: Sink> Train<'a, S> {
    pub(crate) fn new(
        (subscriber, path): (SubscriberId, &'a mut Path),
        now: Instant,
        sink: &'a mut S,
        news: &'a mut News,
    ) -> Self {
        path.begin(now);
        Self { sink, news, subscriber, paced: path.is_paced(), path, now, begun: false }
    }

    /// Whether the next media packet may go now. One that may not waits where it is, and is asked about again soon.
    #[inline]
    pub(crate) fn may_send(&mut self) -> bool {
        !self.paced || self.path.may_send()
    }

    /// Media goes out spread, because the viewer's path is slower than the burst.
    #[inline]
    pub(crate) fn is_paced(&self) -> bool {
        self.paced
    }

    /// The transport-wide number of the packet that comes next, for a leg that carries one.
    #[inline]
    pub(crate) fn number(&mut self) -> Option<u16> {
        self.path.number()
    }

    #[inline]
    pub(crate) fn packet(&mut self, packet: &Outgoing<'_>) {
        self.begin();
        self.news.stats.packets_out += 1;
        self.news.stats.bytes_out += packet.len() as u64;
        self.news.stats.packets_paced += u64::from(self.paced);
        self.path.sent(packet.len(), self.now);
        self.sink.packet(packet);
    }

    pub(crate) fn report(&mut self, report: &SenderReport) {
        self.begin();
        self.sink.report(report);
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.news.event(event);
    }

    pub(crate) fn stats(&mut self) -> &mut Stats {
        &mut self.news.stats
    }

    pub(crate) fn news(&mut self) -> &mut News {
        self.news
    }

    /// Ends it; true when something waits for the pacer.
    pub(crate) fn end(self) -> bool {
        if self.begun {
            self.sink.end(self.subscriber);
        }
        self.path.is_held()
    }

    #[inline]
    fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            self.sink.begin(self.subscriber);
        }
    }
}
