//! What a forwarded packet allocates: nothing, with viewers who lose packets, who tell when packets came, and who come and go.

use allocation_counter::measure;
use latchkey_relay_core::bandwidth::Arrivals;
use latchkey_wire::rtcp;
use latchkey_wire::rtp::RtpView;

use super::*;
use crate::shard::counters::events::Event;
use crate::srtp::ControlSealer;

/// A viewer's own end: what it got last, and its way to ask for packets again.
struct End {
    seed: u8,
    key: PeerKey,
    socket: Socket,
    address: SocketAddr,
    opener: Opener,
    sealer: ControlSealer,
    newest: Option<u16>,
    arrivals: Arrivals,
    began: Instant,
}

impl End {
    fn new(worker: &mut Worker, home: Option<Home>, seed: u8) -> Self {
        let (socket, address) = bind();
        let key = admit_from(worker, home, 1, Role::View, seed, address);
        let opener = Opener::new(&master(seed));
        let sealer = ControlSealer::new(&master(100 + seed));
        Self {
            seed,
            key,
            socket,
            address,
            opener,
            sealer,
            newest: None,
            arrivals: Arrivals::new(),
            began: Instant::now(),
        }
    }

    /// Takes what came; returns how many packets.
    fn read(&mut self, receiver: &mut Receiver) -> usize {
        let mut count = 0;
        while receiver.receive(&self.socket).unwrap() > 0 {
            for datagram in receiver.datagrams() {
                let media = datagram.bytes[8..12] == (1000 + u32::from(self.seed)).to_be_bytes();
                let control = (200..208).contains(&datagram.bytes[1]);
                if control {
                    continue;
                }
                let Ok(len) = self.opener.open(datagram.bytes) else { continue };
                let view = RtpView::parse(&datagram.bytes[..len]).unwrap();
                let number = view.extension().unwrap().find(NUMBER).unwrap().first_chunk().unwrap();
                let now = Instant::now();
                self.arrivals.arrived(u16::from_be_bytes(*number), now - self.began, now);
                if media {
                    self.newest = Some(u16::from_be_bytes([datagram.bytes[2], datagram.bytes[3]]));
                    count += 1;
                }
            }
        }
        count
    }

    /// Asks for the newest packet again and tells what came; with nothing yet, reports without asking.
    fn nack(&mut self) -> Vec<u8> {
        let (mut packet, newest) = (Vec::new(), self.newest);
        rtcp::write_receiver_report(5, &[], "viewer", &mut packet);
        rtcp::write_nack(5, 1000 + u32::from(self.seed), newest.as_slice(), &mut packet);
        self.arrivals.write(5, 1000 + u32::from(self.seed), &mut packet);
        packet.resize(packet.len() + self.sealer.overhead(), 0);
        self.sealer.seal(&mut packet).unwrap();
        packet
    }
}

/// One or two shards with a camera at home on the first, and viewers in turn on all.
struct Crowd {
    workers: Vec<Worker>,
    camera: Camera,
    publisher: SocketAddr,
    ends: Vec<(usize, End)>,
    receiver: Receiver,
    now: Instant,
    frames: usize,
    allocations: u64,
    nacks: usize,
    read: usize,
}

impl Crowd {
    fn new(shards: usize) -> Self {
        let mut workers = workers(shards);
        let publisher = SocketAddr::from(([127, 0, 0, 1], 9));
        admit(&mut workers[0], 1, Role::Publish, 1, publisher);
        Self {
            workers,
            camera: Camera::new(1),
            publisher,
            ends: Vec::new(),
            receiver: Receiver::new(),
            now: Instant::now(),
            frames: 0,
            allocations: 0,
            nacks: 0,
            read: 0,
        }
    }

    fn join(&mut self, seed: u8) {
        let shard = self.ends.len() % self.workers.len();
        let tracks = self.workers[0].rooms.at(0).unwrap().outline();
        let home = (shard > 0).then_some(Home { shard: 0, tracks });
        let mut end = End::new(&mut self.workers[shard], home, seed);
        // Its first report is a part of its coming: the relay begins to keep account of it.
        let route = Route { remote: end.address, local: None };
        self.workers[shard].datagram(&mut end.nack(), route, None, self.now);
        self.ends.push((shard, end));
        self.settle();
    }

    fn leave(&mut self) {
        let (shard, end) = self.ends.remove(0);
        self.workers[shard].end(end.key, EndReason::Left, self.now);
        self.settle();
    }

    /// One frame comes in, and every second viewer asks for one packet of it again: 5 %.
    fn frame(&mut self, key: bool, nacks: bool) {
        let mut packets = self.camera.frame(key);
        let (publisher, now) = (self.publisher, self.now);
        let workers = &mut self.workers;
        let taken = measure(|| {
            feed(&mut workers[0], publisher, &mut packets, now);
            workers[0].send_gathered();
            workers.iter_mut().for_each(|worker| turn(worker, now));
        });
        self.allocations += taken.count_total;
        let mut asking = Vec::with_capacity(self.ends.len());
        for (index, (shard, end)) in self.ends.iter_mut().enumerate() {
            self.read += end.read(&mut self.receiver);
            if nacks && (index / 2 + self.frames).is_multiple_of(2) {
                asking.push((*shard, end.address, end.nack()));
            }
        }
        self.nacks += asking.len();
        let workers = &mut self.workers;
        let taken = measure(|| {
            for (shard, address, packet) in &mut asking {
                workers[*shard].datagram(packet, Route { remote: *address, local: None }, None, now);
            }
            workers.iter_mut().for_each(|worker| turn(worker, now));
        });
        self.allocations += taken.count_total;
        self.frames += 1;
        self.now += FRAME;
    }

    /// Lets the shards hear each other.
    fn settle(&mut self) {
        for _ in 0..3 {
            self.workers.iter_mut().for_each(|worker| turn(worker, self.now));
        }
    }

    fn sent(&self, count: impl Fn(&Worker) -> u64) -> u64 {
        self.workers.iter().map(count).sum()
    }
}

/// What a shard's thread does besides receiving.
fn turn(worker: &mut Worker, now: Instant) {
    worker.take_over(now);
    worker.do_what_is_due(now);
    worker.outbox.flush();
    worker.send_gathered();
    worker.publish(now);
}

fn steady(shards: usize) {
    let mut crowd = Crowd::new(shards);
    crowd.frame(true, false);
    (0..15).for_each(|_| crowd.frame(false, false));
    (0..100).for_each(|viewer| crowd.join(10 + viewer));
    // Until everybody is live, every buffer has been used, and a second's reports have gone out.
    (0..60).for_each(|index| crowd.frame(index == 40, true));

    let video = |worker: &Worker| worker.outbox.tally.packets(Direction::Out, PacketKind::Video);
    let repairs = |worker: &Worker| worker.outbox.tally.event(Event::RtxPackets);
    let (before, repaired) = (crowd.sent(video), crowd.sent(repairs));
    (crowd.allocations, crowd.nacks, crowd.read) = (0, 0, 0);
    (0..20).for_each(|_| crowd.frame(false, true));
    let joined = measure(|| crowd.join(150)).count_total;
    (0..20).for_each(|_| crowd.frame(false, true));
    let left = measure(|| crowd.leave()).count_total;
    (0..20).for_each(|_| crowd.frame(false, true));

    let told = [Event::TransportFeedbackIn, Event::TransportFeedbackOut];
    let [heard, told] = told.map(|event| crowd.sent(|worker| worker.outbox.tally.event(event)));
    let (forwarded, repaired) = (crowd.sent(video) - before, crowd.sent(repairs) - repaired);
    println!(
        "{shards} shard(s): {forwarded} packets out, {repaired} of them again for {} NACKs: {} allocations; \
         a join took {joined}, a leave {left}",
        crowd.nacks, crowd.allocations,
    );
    println!("{heard} times viewers told what came, {told} times the camera was told");
    assert!(heard >= 3_000 && told >= 30, "{heard}, {told}");
    assert!(forwarded >= 60 * 9 * 99, "{forwarded} packets went out");
    assert!(
        repaired as usize >= crowd.nacks * 9 / 10 && crowd.nacks >= 60 * 45,
        "{repaired} of {}",
        crowd.nacks
    );
    assert!(crowd.read as u64 >= (forwarded - repaired) * 9 / 10, "{} arrived", crowd.read);
    assert_eq!(crowd.allocations, 0, "allocations for {forwarded} forwarded packets");
}

#[test]
fn forwarding_and_repairing_allocate_nothing() {
    steady(1);
}

#[test]
fn forwarding_to_another_shard_allocates_nothing() {
    steady(2);
}
