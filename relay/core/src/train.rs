//! What one viewer gets in one call: opened in the sink with its first packet, closed at the end, counted in between.

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
    begun: bool,
}

impl<'a, S: Sink> Train<'a, S> {
    pub(crate) fn new(subscriber: SubscriberId, sink: &'a mut S, news: &'a mut News) -> Self {
        Self { sink, news, subscriber, begun: false }
    }

    #[inline]
    pub(crate) fn packet(&mut self, packet: &Outgoing<'_>) {
        self.begin();
        self.news.stats.packets_out += 1;
        self.news.stats.bytes_out += packet.len() as u64;
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

    pub(crate) fn end(self) {
        if self.begun {
            self.sink.end(self.subscriber);
        }
    }

    #[inline]
    fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            self.sink.begin(self.subscriber);
        }
    }
}
