//! The thread of a shard: receives a batch, forwards what came, does what is due, waits.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver as Commands, TryRecvError, sync_channel};
use std::time::{Duration, Instant, SystemTime};

use latchkey_relay_core::RoomConfig;
use latchkey_wire::id::{DeviceHandle, RoomId};
use tokio::sync::mpsc;

use crate::batch::{Ready, Receiver, Socket, Waker};
use crate::shard::command::Command;
use crate::shard::command::handle::ShardHandle;
use crate::shard::counters::ShardCounters;
use crate::shard::counters::events::{Event, Gauge};
use crate::shard::counters::packets::DropReason;
use crate::shard::end::{EndReason, SessionEnd};
use crate::shard::limits::Limits;
use crate::shard::load::LoadMeter;
use crate::shard::neighbours::Neighbours;
use crate::shard::peer::{PeerKey, Peers};
use crate::shard::probe::Probes;
use crate::shard::rooms::Rooms;
use crate::shard::session_id::SessionId;
use crate::shard::sink::Outbox;
use crate::shard::timers::{Timer, Timers};
use crate::transport::dtls::Identity;

/// What all shards of a relay have in common.
#[derive(Clone)]
pub(super) struct Setup {
    pub(super) limits: Limits,
    pub(super) room_config: RoomConfig,
    pub(super) identity: Identity,
    /// Names this run of the relay in RTCP (RFC 7022).
    pub(super) cname: String,
    pub(super) ends: Option<mpsc::UnboundedSender<SessionEnd>>,
    #[cfg(feature = "test-tap")]
    pub(super) tap: Option<crate::shard::tap::Tap>,
    #[cfg(feature = "test-tap")]
    pub(super) meddler: Option<crate::shard::tap::Meddler>,
}

/// Everything that one shard owns. Nobody else touches it while it runs.
pub(super) struct Worker {
    pub(super) index: usize,
    pub(super) setup: Setup,
    pub(super) outbox: Outbox,
    commands: Commands<Command>,
    waker: Waker,
    counters: Arc<ShardCounters>,
    pub(super) neighbours: Neighbours,
    /// The datagram at hand came by a neighbour.
    pub(super) taking_over: bool,
    /// A handed over datagram while it is handled.
    pub(super) handed: Vec<u8>,

    pub(super) peers: Peers,
    pub(super) rooms: Rooms,
    pub(super) timers: Timers,
    pub(super) by_address: HashMap<SocketAddr, PeerKey>,
    /// The owner found last: packets come in runs of one sender.
    pub(super) last_owner: Option<(SocketAddr, PeerKey)>,
    pub(super) by_ufrag: HashMap<String, PeerKey>,
    pub(super) by_session: HashMap<SessionId, PeerKey>,
    /// Rooms with packets to forward.
    pub(super) pending: Vec<u32>,
    /// Sessions that ended lately, so that their clients can learn why.
    pub(super) ended: HashMap<SessionId, (EndReason, Instant)>,
    /// Devices cut off lately: no grant issued before the first time counts until the second.
    pub(super) cuts: HashMap<(RoomId, DeviceHandle), (SystemTime, Instant)>,
    pub(super) probes: Probes,
    pub(super) publishers: usize,
    /// Sessions without keys yet.
    pub(super) connecting: usize,
    pub(super) draining: bool,
    next_sweep: Instant,
    load: LoadMeter,
}

/// Whether the thread goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Continue,
    Stop,
}

impl Worker {
    /// A shard without peers, and the handle to ask it by.
    pub(super) fn new(
        index: usize,
        setup: Setup,
        socket: Socket,
        neighbours: Neighbours,
        waker: Waker,
    ) -> (Self, ShardHandle) {
        let (sender, commands) = sync_channel(COMMANDS);
        let counters = Arc::new(ShardCounters::default());
        let handle =
            ShardHandle { index, commands: sender, waker: waker.clone(), counters: Arc::clone(&counters) };
        #[cfg_attr(not(feature = "test-tap"), expect(unused_mut))]
        let mut outbox = Outbox::new(socket);
        #[cfg(feature = "test-tap")]
        outbox.meddler.clone_from(&setup.meddler);
        let worker = Self {
            index,
            setup,
            outbox,
            commands,
            waker,
            counters,
            neighbours,
            taking_over: false,
            handed: Vec::new(),
            peers: Peers::default(),
            rooms: Rooms::default(),
            timers: Timers::default(),
            by_address: HashMap::new(),
            last_owner: None,
            by_ufrag: HashMap::new(),
            by_session: HashMap::new(),
            pending: Vec::new(),
            ended: HashMap::new(),
            cuts: HashMap::new(),
            probes: Probes::default(),
            publishers: 0,
            connecting: 0,
            draining: false,
            next_sweep: Instant::now(),
            load: LoadMeter::default(),
        };
        (worker, handle)
    }

    /// Runs until a stop command.
    pub(super) fn run(mut self) {
        let mut receiver = Receiver::new();
        let mut ready = Ready { datagrams: true, woken: true };
        loop {
            let now = Instant::now();
            if ready.woken && self.obey(now) == Flow::Stop {
                return;
            }
            // Before the socket: whose an address is may have been told since.
            let more = self.take_over(now);
            let more = more | (ready.datagrams && self.take_in(&mut receiver));
            let now = Instant::now();
            self.do_what_is_due(now);
            self.outbox.flush();
            self.send_gathered();
            self.publish(now);
            let late = self.neighbours.wake_late(now);
            ready = if more {
                // A busy socket must not keep commands waiting, and a look at the queues costs little.
                Ready { datagrams: true, woken: true }
            } else {
                let longest = if self.neighbours.has_waiting() { FULL_RING_WAIT } else { LONGEST_WAIT };
                let next = self.next_deadline().into_iter().chain(late).min();
                let wait =
                    next.map_or(longest, |next| next.saturating_duration_since(Instant::now()).min(longest));
                self.outbox.socket.wait(&self.waker, Some(wait))
            };
        }
    }

    /// Receives until the socket is empty, forwarding after each batch; `true` when there may be more.
    fn take_in(&mut self, receiver: &mut Receiver) -> bool {
        for _ in 0..ROUNDS {
            let received = match receiver.receive(&self.outbox.socket) {
                Ok(received) => received,
                Err(error) => {
                    // An error that an earlier send left behind; the next receive goes on.
                    tracing::debug!(%error, "receive");
                    return true;
                }
            };
            if received == 0 {
                break;
            }
            let now = Instant::now();
            for datagram in receiver.datagrams() {
                self.datagram(datagram.bytes, datagram.route, datagram.received, now);
            }
            self.send_gathered();
            self.forward_pending(now);
            if received < Receiver::SLOTS {
                break;
            }
        }
        let drops = receiver.kernel_drops();
        let known = self.outbox.tally.event(Event::SocketReceiveDrops);
        self.outbox.tally.add(Event::SocketReceiveDrops, drops - known);
        false
    }

    /// Sends on what belongs to other shards.
    pub(super) fn send_gathered(&mut self) {
        let lost = self.neighbours.send_gathered();
        self.outbox.tally.drop_many(DropReason::QueueFull, lost as u64);
    }

    fn obey(&mut self, now: Instant) -> Flow {
        loop {
            match self.commands.try_recv() {
                Ok(command) => {
                    if self.command(command, now) == Flow::Stop {
                        self.stop(now);
                        return Flow::Stop;
                    }
                }
                Err(TryRecvError::Empty) => return Flow::Continue,
                Err(TryRecvError::Disconnected) => {
                    self.stop(now);
                    return Flow::Stop;
                }
            }
        }
    }

    fn stop(&mut self, now: Instant) {
        let all: Vec<_> = self.peers.iter().map(|(key, _)| key).collect();
        for key in all {
            self.end(key, EndReason::Shutdown, now);
        }
        self.outbox.flush();
        self.publish(now);
    }

    pub(super) fn do_what_is_due(&mut self, now: Instant) {
        while let Some((timer, deadline)) = self.timers.pop_due(now) {
            match timer {
                Timer::Peer(index) => {
                    let Some(key) = self.peers.at(index) else { continue };
                    if self.peers.get_mut(key).is_some_and(|peer| peer.armed.fired(deadline)) {
                        self.peer_due(key, now);
                    }
                }
                Timer::Arrivals(index) => {
                    if let Some(key) = self.peers.at(index) {
                        self.tell_arrivals(key, now);
                    }
                }
                Timer::Room(place) => {
                    if self.rooms.at(place).is_some_and(|room| room.armed.fired(deadline)) {
                        self.guarded(place, now, |worker| worker.room_due(place, now));
                    }
                }
            }
        }
        if now >= self.next_sweep {
            self.next_sweep = now + SWEEP;
            self.ended.retain(|_, (_, until)| *until > now);
            self.cuts.retain(|_, (_, until)| *until > now);
        }
    }

    pub(super) fn publish(&mut self, now: Instant) {
        let tally = &mut self.outbox.tally;
        if self.load.sample(now, tally) {
            self.rooms.count_layers(tally);
        }
        // A publisher is alone in its room.
        tally.set(Gauge::Rooms, self.publishers);
        tally.set(Gauge::Publishers, self.publishers);
        tally.set(Gauge::Viewers, self.peers.len() - self.publishers);
        tally.set(Gauge::Connecting, self.connecting);
        self.counters.publish(tally);
    }
}

/// Batches taken before timers and commands have their turn.
const ROUNDS: usize = 8;
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How long a word to another shard waits until the ring is looked at again.
const FULL_RING_WAIT: Duration = Duration::from_millis(1);
/// How often what has expired is thrown away.
const SWEEP: Duration = Duration::from_secs(5);
/// Commands that wait for one shard at most.
const COMMANDS: usize = 1_024;
