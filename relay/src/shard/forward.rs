//! What a room does on its shard: forwards, asks its publisher, and is looked at when it is due.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use latchkey_relay_core::{Event as RoomEvent, TrackId};
use latchkey_wire::rtcp;

use crate::shard::counters::events::{Event, Gauge};
use crate::shard::end::EndReason;
use crate::shard::hold::Pressure;
use crate::shard::neighbours::message::Word;
use crate::shard::peer::PeerKey;
use crate::shard::sink::Forwarding;
use crate::shard::timers::Timer;
use crate::shard::worker::Worker;

impl Worker {
    /// Forwards what every room got in this batch, unless it pays to wait for the rest of a frame.
    pub(super) fn forward_pending(&mut self, now: Instant) {
        let mut places = std::mem::take(&mut self.pending);
        let load_per_mille = self.outbox.tally.gauge(Gauge::LoadPerMille);
        let longest = self.setup.limits.longest_hold;
        places.retain(|&place| {
            let Some(live) = self.rooms.at(place) else { return false };
            let pressure = Pressure { viewers: live.largest_fan_out(), load_per_mille, longest };
            let waits = live.hold.wants_more(pressure, now);
            if waits {
                live.pending = false;
                live.held = true;
                self.arm_room(place);
            } else {
                // Before any viewer here is served, so that all shards begin at once.
                self.guarded(place, now, |worker| worker.hand_on(place));
            }
            !waits
        });
        for place in places.drain(..) {
            self.guarded(place, now, |worker| worker.forward(place, now));
        }
        self.pending = places;
    }

    /// Does something with a room. A panic there is a bug of ours that must not take the shard down: the room's sessions
    /// end, all others go on.
    pub(super) fn guarded(&mut self, place: u32, now: Instant, work: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| work(self))).is_err() {
            self.give_up(place, now);
        }
    }

    /// Ends every session of a room whose state cannot be trusted any more.
    pub(super) fn give_up(&mut self, place: u32, now: Instant) {
        tracing::error!("a fault of the relay in one room: its sessions end, all others go on");
        // A packet that is not sealed yet may lie there.
        self.outbox.arena.clear();
        self.close_room(place, EndReason::Fault);
        self.end_all_of(place, EndReason::Fault, now);
    }

    /// Sends what a room has for its viewers.
    pub(super) fn forward(&mut self, place: u32, now: Instant) {
        self.hand_on(place);
        let Some(live) = self.rooms.at(place) else { return };
        live.hold.release();
        live.pending = false;
        live.held = false;
        let received = live.received.take();
        let mut sink = Forwarding::new(&mut self.outbox, &mut self.peers, &self.setup.cname, received)
            .noting(&mut live.traffic);
        live.room.forward(now, &mut sink);
        sink.finish();
        if live.room.next_round().is_some_and(|due| due <= now) {
            // Now, while what it reads of each viewer is in the caches.
            self.do_round(place, now);
        }
        self.after_room(place, now);
    }

    /// Lets a room do what is due.
    fn do_round(&mut self, place: u32, now: Instant) {
        let Some(live) = self.rooms.at(place) else { return };
        let mut sink = Forwarding::new(&mut self.outbox, &mut self.peers, &self.setup.cname, None)
            .noting(&mut live.traffic);
        live.room.handle_timeout(now, &mut sink);
        sink.finish();
    }

    /// Carries out what a room asks for, and notes when it wants to be called next.
    pub(super) fn after_room(&mut self, place: u32, now: Instant) {
        loop {
            let Some(live) = self.rooms.at(place) else { return };
            let Some(event) = live.room.poll_event() else { break };
            if let Some(home) = live.home() {
                let room = live.id;
                match event {
                    RoomEvent::KeyFrameWanted { track, .. } => {
                        self.neighbours.say(home, room, Word::KeyFrame(track));
                        continue;
                    }
                    RoomEvent::PacketsMissing { track, missing, .. } => {
                        self.neighbours.say(home, room, Word::Missing(track, missing));
                        continue;
                    }
                    RoomEvent::WatchChanged { track, watched } => {
                        self.neighbours.say(home, room, Word::Watched(track, watched));
                        continue;
                    }
                    _ => {}
                }
            }
            let Some(live) = self.rooms.at(place) else { return };
            let publisher = live.publisher;
            match event {
                RoomEvent::KeyFrameWanted { track, ssrc } => {
                    self.tell(publisher, track, |reporter, _, out| rtcp::write_pli(reporter, ssrc, out));
                    self.outbox.tally.add(Event::PliOut, 1);
                }
                RoomEvent::PacketsMissing { track, ssrc, missing } => {
                    self.tell(publisher, track, |reporter, _, out| {
                        rtcp::write_nack(reporter, ssrc, missing.as_slice(), out);
                    });
                    self.outbox.tally.add(Event::NackOut, 1);
                }
                RoomEvent::PauseWanted { track, ssrc, pause_id } => {
                    self.tell(publisher, track, |reporter, _, out| {
                        rtcp::write_pause(reporter, ssrc, pause_id, out);
                    });
                }
                RoomEvent::ResumeWanted { track, ssrc, pause_id } => {
                    self.tell(publisher, track, |reporter, _, out| {
                        rtcp::write_resume(reporter, ssrc, pause_id, out);
                    });
                }
                RoomEvent::PauseChanged { track, paused } => {
                    self.tell_branches(place, &Word::Paused(track, paused));
                }
                RoomEvent::Reception { track, report } => {
                    self.tell_plainly(publisher, track, |reporter, cname, out| {
                        rtcp::write_receiver_report(reporter, &[report], cname, out);
                    });
                }
                RoomEvent::TrackRefused { reason, .. } => {
                    if let Some(key) = publisher {
                        self.end_because(key, EndReason::NotSealed, Some(reason.to_string()), now);
                    }
                }
                RoomEvent::ViewingStarted { subscriber, track, from } => {
                    if let Some(peer) =
                        self.peers.get_mut(PeerKey::of(subscriber)).filter(|peer| !peer.viewing)
                    {
                        peer.viewing = true;
                        let after = now.saturating_duration_since(peer.joined);
                        self.outbox.tally.joined(after);
                        tracing::info!(session = ?peer.session, ?track, ?from, after_ms = after.as_millis() as u64, "first packet sent");
                    }
                }
                RoomEvent::KeyFrameCame { after, .. } => self.outbox.tally.key_frame_came(after),
                RoomEvent::TrackAccepted { track } => {
                    tracing::info!(?track, "the publisher's media is sealed");
                }
                _ => {}
            }
        }
        if let Some(live) = self.rooms.at(place) {
            let stats = live.room.take_stats();
            let tally = &mut self.outbox.tally;
            tally.add(Event::NackedPackets, stats.nacks_received);
            tally.add(Event::PliIn, stats.key_frame_requests_received);
            tally.add(Event::LayersUp, stats.layers_up);
            tally.add(Event::LayersDown, stats.layers_down);
            tally.add(Event::TransportFeedbackIn, stats.feedback_received);
            tally.add(Event::PacedPackets, stats.packets_paced);
            tally.add(Event::Skips, stats.skips);
            tally.add(Event::Probes, stats.probes);
            if stats.estimates_sum > 0 {
                tally.estimated(&stats.estimates, stats.estimates_sum);
            }
            live.traffic.took_in(&stats);
        }
        self.arm_room(place);
    }

    /// Sends feedback to a room's publisher, after an empty receiver report: not everyone takes feedback alone (RFC 5506).
    fn tell(
        &mut self,
        publisher: Option<PeerKey>,
        track: TrackId,
        write: impl FnOnce(u32, &str, &mut Vec<u8>),
    ) {
        self.tell_plainly(publisher, track, |reporter, cname, out| {
            rtcp::write_receiver_report(reporter, &[], cname, out);
            write(reporter, cname, out);
        });
    }

    fn tell_plainly(
        &mut self,
        publisher: Option<PeerKey>,
        track: TrackId,
        write: impl FnOnce(u32, &str, &mut Vec<u8>),
    ) {
        let Some(peer) = publisher.and_then(|key| self.peers.get_mut(key)) else { return };
        let Some(reporter) = peer.reporter(track) else { return };
        let (Some(route), Some(srtp)) = (&peer.route, &mut peer.srtp) else { return };
        let cname = &self.setup.cname;
        self.outbox.report(route, srtp, |out| write(reporter, cname, out));
    }

    pub(super) fn room_due(&mut self, place: u32, now: Instant) {
        let Some(live) = self.rooms.at(place) else { return };
        if live.publisher.is_none()
            && live.home().is_none()
            && now >= live.vacant_since + self.setup.limits.publisher_grace
        {
            self.end_all_of(place, EndReason::PublisherGone, now);
            // Ending the last of them may have removed it already.
            self.close_room(place, EndReason::PublisherGone);
            return;
        }
        if live.held && live.hold.until().is_none_or(|until| until <= now) {
            return self.forward(place, now);
        }
        self.hand_on(place);
        self.do_round(place, now);
        self.after_room(place, now);
    }

    /// Makes sure that the room is looked at when it wants to be.
    pub(super) fn arm_room(&mut self, place: u32) {
        if let Some(live) = self.rooms.at(place)
            && let Some(deadline) = live.deadline(self.setup.limits.publisher_grace)
        {
            self.timers.arm(Timer::Room(place), deadline, &mut live.armed);
        }
    }

    /// When something is due next. A room that did it with packets that came in between is put back first: it wakes nobody.
    pub(super) fn next_deadline(&mut self) -> Option<Instant> {
        loop {
            let (timer, deadline) = self.timers.next()?;
            let Timer::Room(place) = timer else { return Some(deadline) };
            let Some(live) = self.rooms.at(place) else { return Some(deadline) };
            let due = live.deadline(self.setup.limits.publisher_grace);
            if due.is_none_or(|due| due <= deadline) || !live.armed.is_at(deadline) {
                return Some(deadline);
            }
            self.timers.pop_due(deadline);
            live.armed.fired(deadline);
            self.arm_room(place);
        }
    }
}
