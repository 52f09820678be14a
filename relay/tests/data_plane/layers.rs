//! Simulcast layers of a camera whose viewers are on several shards: what nobody watches is paused, what somebody does is not.

use std::time::{Duration, Instant};

use latchkey_relay::shard::Shards;
use latchkey_relay::shard::command::join::Role;
use latchkey_wire::codec::Codec;

use crate::camera::Camera;
use crate::client::{Client, Join, LIMIT, ask, run, start};
use crate::pauses::{self, Request};

/// Bytes of a frame by layer: about 120, 400 and 1200 kbit/s at 30 a second.
const SIZES: [usize; 3] = [450, 1_600, 5_000];
const FRAME: Duration = Duration::from_millis(33);
/// What the smallest layer fits and the others do not.
const SMALL: u64 = 200_000;

#[test]
fn a_layer_is_paused_when_nobody_on_any_shard_watches_it_and_resumed_for_another_shards_viewer() {
    let shards = start(|config| config.shards = 2);
    let mut scene = Scene::new(&shards);
    let [low, middle, high] = scene.ssrcs();
    let here = scene.join(&shards, (0, 2), Some(SMALL));
    let there = scene.join(&shards, (1, 3), None);
    scene.until("the smallest layer here, the largest there", |scene| {
        [scene.layer_of(here), scene.layer_of(there)] == [Some(0), Some(2)]
    });
    scene.until("a pause of the layer that nobody watches", |scene| scene.paused[1]);
    assert_eq!(scene.asked, [Request::Pause { ssrc: middle, id: 0 }], "the others are watched");
    scene.seconds(7);
    assert_eq!(
        scene.paused,
        [false, true, false],
        "watched from another shard for longer than a pause waits"
    );

    scene.leave(&shards, 1, there);
    scene.until("a pause of the one that only the other shard watched", |scene| scene.paused[2]);
    assert_eq!(scene.asked.last(), Some(&Request::Pause { ssrc: high, id: 0 }));
    let before = scene.asked.len();

    let again = scene.join(&shards, (1, 4), None);
    scene.until("the resumed layer on a shard that was closed meanwhile", |scene| {
        scene.layer_of(again) == Some(2)
    });
    assert!(scene.asked[before..].iter().all(|asked| *asked == Request::Resume { ssrc: high, id: 0 }));
    assert!(scene.asked.len() > before);
    assert_eq!(scene.paused, [false, true, false]);
    scene.until("the smallest layer here all the while", |scene| scene.layer_of(here) == Some(0));
    assert!(
        !scene.asked.contains(&Request::Pause { ssrc: low, id: 0 }),
        "whoever comes has a picture at once"
    );
    for viewer in [here, again] {
        assert_gapless(&scene.clients[viewer]);
    }
}

#[test]
fn a_viewer_of_a_shard_that_knew_the_layer_before_its_pause_brings_it_back() {
    let shards = start(|config| config.shards = 2);
    let mut scene = Scene::new(&shards);
    let small = scene.join(&shards, (1, 2), Some(SMALL));
    scene.until("two pauses", |scene| scene.paused == [false, true, true]);
    assert_eq!(scene.layer_of(small), Some(0));
    let large = scene.join(&shards, (1, 3), None);
    scene.until("the largest layer", |scene| scene.layer_of(large) == Some(2));
    assert_eq!(scene.paused, [false, true, false]);
    let first = scene.clients[large].received.first().map(|packet| packet.payload.clone());
    assert_eq!(first.and_then(|payload| scene.layer(&payload)), Some(0), "the small picture meanwhile");
    assert_gapless(&scene.clients[large]);
    assert_gapless(&scene.clients[small]);
}

/// A camera of three layers that pauses when asked, and its viewers.
struct Scene {
    /// The publisher, then the viewers.
    clients: Vec<Client>,
    cameras: [Camera; 3],
    number: usize,
    next: Instant,
    /// All that was asked, in order.
    asked: Vec<Request>,
    paused: [bool; 3],
    fresh: [bool; 3],
    /// Layers by the first bytes of their payloads, which are sealed and so differ.
    sent: std::collections::HashMap<Vec<u8>, usize>,
}

impl Scene {
    fn new(shards: &Shards) -> Self {
        pauses::take();
        let join = Join { layers: 3, ..Join::new(Role::Publish, 1) };
        let publisher = Client::join(shards, &shards.handles()[0], &join).unwrap();
        let cameras = [0, 3, 4].map(|track| Camera::of_track(Codec::Vp8, 7 + u64::from(track), track));
        let mut scene = Self {
            clients: vec![publisher],
            cameras,
            number: 0,
            next: Instant::now(),
            asked: Vec::new(),
            paused: [false; 3],
            fresh: [true; 3],
            sent: std::collections::HashMap::new(),
        };
        scene.until("the publisher's connection", |scene| scene.clients[0].connected);
        scene.next = Instant::now();
        scene.seconds(3);
        scene
    }

    fn ssrcs(&self) -> [u32; 3] {
        [0, 1, 2].map(|layer| *self.clients[0].layers[layer])
    }

    /// Returns the viewer's place.
    fn join(&mut self, shards: &Shards, (shard, device): (usize, u8), wish: Option<u64>) -> usize {
        let (handle, home) = (&shards.handles()[shard], &shards.handles()[0]);
        let join = Join { most_bits_per_second: wish, ..Join::new(Role::View, device) };
        let viewer = Client::join_from(shards, handle, home, &join).unwrap();
        self.clients.push(viewer);
        let place = self.clients.len() - 1;
        self.until("the viewer's connection", |scene| scene.clients[place].connected);
        place
    }

    fn leave(&mut self, shards: &Shards, shard: usize, viewer: usize) {
        assert_eq!(ask(shards.handles()[shard].leave(self.clients[viewer].session)), Ok(()));
    }

    /// Goes on until `done` says so after a frame.
    fn until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let until = Instant::now() + LIMIT;
        loop {
            let mut clients: Vec<&mut Client> = self.clients.iter_mut().collect();
            let next = self.next;
            run(&mut clients, |_| Instant::now() >= next);
            self.next = (next + FRAME).max(Instant::now() - FRAME);
            if self.clients[0].connected {
                self.send();
            }
            if done(self) {
                return;
            }
            assert!(Instant::now() < until, "{what}: not in time; asked {:?}", self.asked);
        }
    }

    fn seconds(&mut self, seconds: usize) {
        let last = self.number + 30 * seconds;
        self.until("a while", |scene| scene.number >= last);
    }

    /// One frame of every layer that is not paused, as a camera does that heeds what it is asked.
    fn send(&mut self) {
        let ssrcs = self.ssrcs();
        for request in pauses::take() {
            let (ssrc, pauses) = match request {
                Request::Pause { ssrc, .. } => (ssrc, true),
                Request::Resume { ssrc, .. } => (ssrc, false),
            };
            let layer = ssrcs.iter().position(|own| *own == ssrc).unwrap();
            self.paused[layer] = pauses;
            self.fresh[layer] |= !pauses;
            self.asked.push(request);
        }
        let scheduled = self.number.is_multiple_of(30);
        for (layer, camera) in self.cameras.iter_mut().enumerate() {
            if self.paused[layer] {
                camera.skip();
                continue;
            }
            let key = std::mem::take(&mut self.fresh[layer]) || scheduled;
            let frame = camera.frame(key, SIZES[layer]);
            self.sent.extend(frame.iter().map(|packet| (packet.payload.clone(), layer)));
            self.clients[0].send_layer(layer, &frame);
        }
        self.number += 1;
    }

    fn layer(&self, payload: &[u8]) -> Option<usize> {
        self.sent.get(payload).copied()
    }

    /// The layer of the packet that a viewer got last.
    fn layer_of(&self, viewer: usize) -> Option<usize> {
        self.layer(&self.clients[viewer].received.last()?.payload)
    }
}

fn assert_gapless(viewer: &Client) {
    let mut packets = viewer.received.clone();
    packets.sort_by_key(|packet| packet.sequence);
    for pair in packets.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence + 1, "no number is left out");
        let forward = pair[1].timestamp.wrapping_sub(pair[0].timestamp) as i32;
        assert!(forward >= 0, "{forward} ticks");
    }
}
