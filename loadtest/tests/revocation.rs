//! A removed phone keeps its state and gets every later byte of server and relay, and opens nothing that was sealed after.
#![allow(clippy::print_stdout)] // figures are for whoever runs it

mod support;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use latchkey::home::Home;
use latchkey::household::{Invitation, create, join};
use latchkey::observer::{FrameObserver, WireFrame};
use latchkey::signaling::{SignalUpdate, Signaling};
use latchkey::source::spec::SourceSpec;
use latchkey::{Camera, CameraConfig, CameraHandle, Viewer, ViewerConfig};
use latchkey_api::device_list::{DeviceList, ListChain, Reason, Role, Signer};
use latchkey_api::event::Event as ServerEvent;
use latchkey_api::group::{GroupMessage, MessageKind};
use latchkey_api::id::{DeviceId, GroupId};
use latchkey_e2ee::group::{GroupError, KeyPackages, Member, Processed};
use latchkey_e2ee::identity::DeviceIdentity;
use latchkey_e2ee::open::FrameOpener;
use latchkey_loadtest::hostile::ear::Ear;
use latchkey_signaling::{Server, ServerConfig};
use latchkey_wire::envelope;
use latchkey_wire::sframe_header::SframeHeader;
use support::{LIMIT, bundled};

/// Phones that are removed, one after the other.
const REMOVALS: usize = 100;
/// So many are in the household at once, beside camera, admin and the two that stay.
const AT_ONCE: usize = 50;
/// Between two removals.
const BETWEEN: Duration = Duration::from_millis(200);
/// Frames that the camera still seals after the last removal.
const AFTERWARDS: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_phone_opens_nothing_that_was_sealed_after() {
    let mut house = House::open().await;
    let camera = house.camera().await;
    let mut kept = house.enlist(1).await.remove(0);
    let viewer = house.viewer().await;
    let before = house.sealed.count();

    let (mut removed, mut took) = (Vec::new(), Vec::new());
    while removed.len() < REMOVALS {
        for mut phone in house.enlist(AT_ONCE).await {
            phone.catch_up(&house.messages().await, &house.admin);
            took.push(house.remove(phone.device()).await);
            removed.push(phone);
            // The relay takes a camera whose key changes with every other frame for one that does not seal.
            tokio::time::sleep(BETWEEN).await;
        }
    }
    let end = house.sealed.count() + AFTERWARDS;
    house.eventually("the frames after the last removal", || house.sealed.count() >= end).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let cut_off = house.metric("relay_session_end_total{reason=\"cut_off\"}").await;
    let left_out = house.metric("relay_skips_total").await + house.metric("relay_layer_switches_total").await;
    camera.stop().await;
    let stats = viewer.handle.stats();
    viewer.handle.stop().await;

    // The camera's own word on when it sealed what; the relay's bytes; the server's messages.
    let sealed = house.sealed.all();
    let frames = house.frames();
    let messages = house.messages().await;
    let last = accepted(&house, removed.last().expect("phones were removed"));
    let (mut opened_after, mut tried) = (0, 0);
    for phone in &mut removed {
        let accepted = accepted(&house, phone);
        phone.catch_up(&messages, &house.admin);
        assert!(phone.member.is_removed(), "it knows that it is out");
        for frame in frames.iter().filter(|frame| sealed.get(&frame.name()).is_some_and(|at| *at > accepted))
        {
            tried += 1;
            opened_after += usize::from(phone.opens(frame));
        }
    }
    kept.catch_up(&messages, &house.admin);
    let first = accepted(&house, &removed[0]);
    let after: Vec<_> =
        frames.iter().filter(|frame| sealed.get(&frame.name()).is_some_and(|at| *at > first)).collect();
    let control_opened = after.iter().filter(|frame| kept.opens(frame)).count();

    took.sort_unstable();
    let percentile = |share: usize| took[(took.len() * share).div_ceil(100) - 1].as_secs_f64() * 1000.0;
    println!(
        "revocation: n={} opened_after={opened_after} control_opened={control_opened} p95_ms={:.1}",
        removed.len(),
        percentile(95)
    );
    println!(
        "revocation: p50_ms={:.1} max_ms={:.1} tried={tried} frames={} viewer_opened={} viewer_failed={:?}",
        percentile(50),
        percentile(100),
        after.len(),
        stats.opened_video + stats.opened_audio,
        stats.failed
    );
    assert_eq!(opened_after, 0);
    assert!(tried > REMOVALS * AFTERWARDS, "there was something to open");
    assert_eq!(control_opened, after.len(), "a phone that stays opens every one of them");

    // Who stays loses nothing.
    let received = viewer.received.all();
    let missed = sealed
        .iter()
        .filter(|(_, at)| **at > viewer.since && **at < last)
        .filter(|(name, _)| !received.contains_key(name))
        .count();
    assert_eq!(cut_off, 0.0, "nobody was cut off who stays");
    // What a relay leaves out for a path that stalls, and frames that wait in vain for keys of a commit that took a second, say
    // nothing about removals but that this machine is busy.
    let busy = left_out > 0.0 || stats.reconnects > 0;
    let late = took.last().is_some_and(|longest| *longest > Duration::from_secs(1));
    if busy || late {
        println!(
            "revocation: a busy machine: {left_out} changes of what the relay sends, {missed} frames left out"
        );
        let excused = |reason: &&str| *reason == "replayed" || late && *reason == "unknown_epoch";
        assert!(stats.failed.keys().all(excused), "{stats:?}");
    } else {
        assert!(stats.failed.is_empty() && stats.frames_incomplete == 0, "and opened it: {stats:?}");
    }
    assert!(busy || missed == 0, "the viewer that stays received every frame, but for {missed}: {stats:?}");
    assert!(received.len() > before, "{}", received.len());
}

/// When the server had the commit that removed `phone`, as another device heard of it.
fn accepted(house: &House, phone: &Phone) -> Instant {
    house.accepted[&phone.device()]
}

/// Names of frames, key id and counter, and when they were first seen here.
#[derive(Default)]
struct Names(Mutex<HashMap<(u64, u64), Instant>>);

impl Names {
    fn lock(&self) -> MutexGuard<'_, HashMap<(u64, u64), Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self) -> usize {
        self.lock().len()
    }

    fn all(&self) -> HashMap<(u64, u64), Instant> {
        self.lock().clone()
    }
}

impl FrameObserver for Names {
    fn sealed(&self, frame: &WireFrame) {
        self.lock().entry((frame.kid, frame.ctr)).or_insert_with(Instant::now);
    }

    fn received(&self, frame: &WireFrame) {
        self.lock().entry((frame.kid, frame.ctr)).or_insert_with(Instant::now);
    }
}

/// A frame as the relay had it in its hands.
struct Frame {
    kid: u64,
    ctr: u64,
    envelope: Vec<u8>,
    sframe: Vec<u8>,
}

impl Frame {
    fn name(&self) -> (u64, u64) {
        (self.kid, self.ctr)
    }
}

/// A device with the real keys, group and opener, and everything that it ever could open with.
struct Phone {
    identity: Arc<DeviceIdentity>,
    chain: ListChain,
    member: Member,
    seq: u64,
    /// One for each epoch whose keys it had.
    openers: BTreeMap<u64, FrameOpener>,
}

impl Phone {
    fn device(&self) -> DeviceId {
        self.identity.device()
    }

    /// Takes every message after the last one, and the keys of every epoch that it is given.
    fn catch_up(&mut self, messages: &[GroupMessage], admin: &Home) {
        take_lists(&mut self.chain, admin);
        let seen = self.seq;
        for message in messages.iter().filter(|message| message.seq > seen) {
            let processed = self.member.process(message.message.as_slice(), &self.chain);
            self.seq = message.seq;
            if matches!(processed, Ok(Processed::Epoch(_))) {
                self.keep_keys();
            }
        }
        if self.member.is_removed() {
            assert!(matches!(self.member.frame_keys(), Err(GroupError::Removed)));
        }
    }

    fn keep_keys(&mut self) {
        if let Ok(keys) = self.member.frame_keys() {
            let mut opener = FrameOpener::new();
            let epoch = keys.epoch();
            opener.add_epoch(keys, Duration::ZERO);
            self.openers.insert(epoch, opener);
        }
    }

    /// Tries all it has, newest first.
    fn opens(&mut self, frame: &Frame) -> bool {
        let mut out = Vec::new();
        let mut openers = self.openers.values_mut().rev();
        openers.any(|opener| opener.open(&frame.sframe, &frame.envelope, &mut out).is_ok())
    }
}

fn take_lists(chain: &mut ListChain, admin: &Home) {
    let known = chain.head().map_or(0, |head| head.list().version);
    for list in admin.chain().lists().filter(|list| list.list().version > known) {
        chain.accept(list.as_bytes(), None).expect("the admin's lists are good");
    }
}

/// The viewer that stays.
struct Watching {
    handle: latchkey::ViewerHandle,
    received: Arc<Names>,
    since: Instant,
}

/// A server with a tap, an admin, and a camera that plays a file: it makes no key frame when asked.
struct House {
    dir: tempfile::TempDir,
    server: Server,
    admin: Home,
    signaling: Signaling,
    camera: DeviceId,
    tapped: Arc<Mutex<Vec<Vec<u8>>>>,
    sealed: Arc<Names>,
    /// When the admin's socket told of the message at a place of the group.
    heard: Arc<Mutex<HashMap<u64, Instant>>>,
    accepted: HashMap<DeviceId, Instant>,
    messages: Mutex<Vec<GroupMessage>>,
}

impl House {
    async fn open() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let tapped = Arc::new(Mutex::new(Vec::new()));
        let tap = {
            let tapped = Arc::clone(&tapped);
            Arc::new(move |packet: &[u8]| {
                tapped.lock().unwrap_or_else(PoisonError::into_inner).push(packet.to_vec());
            })
        };
        let mut config = ServerConfig::loopback(dir.path().join("data"));
        // A hundred devices behind one address, as no household has them.
        (config.address_rate, config.address_burst) = (10_000.0, 100_000);
        (config.open_rate, config.open_burst) = (10_000.0, 100_000);
        (config.device_rate, config.device_burst) = (10_000.0, 100_000);
        let server = Server::start_tapped(config, tap).await.expect("the server starts");
        let url = server.urls().signaling.clone();
        let (mut admin, _) = create(&dir.path().join("admin"), &url, "Ada").await.expect("a household");
        let camera = enrol(&mut admin, Role::Camera, &dir.path().join("camera")).await;
        enrol(&mut admin, Role::Viewer, &dir.path().join("viewer")).await;
        let signaling = admin.signaling();
        let heard = Arc::new(Mutex::new(HashMap::new()));
        tokio::spawn(listen(signaling.clone(), camera, Arc::clone(&heard)));
        Self {
            dir,
            server,
            admin,
            signaling,
            camera,
            tapped,
            sealed: Arc::default(),
            heard,
            accepted: HashMap::new(),
            messages: Mutex::default(),
        }
    }

    async fn camera(&self) -> CameraHandle {
        let clips =
            ["doorbell.mp4", "doorbell.opus.ogg"].map(|clip| bundled(clip).to_string_lossy().into_owned());
        let source = SourceSpec::parse(&clips).expect("clips are sources");
        let mut config = CameraConfig::new(self.dir.path().join("camera"), source);
        config.observer = Some(self.sealed.clone());
        let camera = Camera::start(config).await.expect("the camera starts");
        assert!(camera.wait_sending(LIMIT).await, "{:?}", camera.story());
        camera
    }

    async fn viewer(&self) -> Watching {
        let received = Arc::new(Names::default());
        let mut config = ViewerConfig::new(self.dir.path().join("viewer"), self.camera.to_string());
        config.observer = Some(received.clone());
        let handle = Viewer::start(config).await.expect("the viewer starts");
        assert!(handle.wait_first_frame(LIMIT).await, "{:?}", handle.story());
        tokio::time::sleep(Duration::from_secs(1)).await;
        Watching { handle, received, since: Instant::now() }
    }

    /// Puts so many phones on the list, and waits until the camera has let all of them in.
    async fn enlist(&mut self, count: usize) -> Vec<Phone> {
        let identities: Vec<_> =
            (0..count).map(|_| Arc::new(DeviceIdentity::generate().expect("random keys"))).collect();
        self.change(Reason::Added, |mut list| {
            for identity in &identities {
                let entry = identity.public().entry(Role::Viewer, now(), Vec::new());
                list = list.with(entry).expect("room for a phone");
            }
            list
        })
        .await;
        let mut waiting = Vec::new();
        for identity in identities {
            let server = self.admin.server().clone();
            let signaling =
                Signaling::new(server, self.admin.household(), identity.device(), Arc::clone(&identity));
            let mut chain = ListChain::new(self.admin.chain().root_public()).expect("a usable root");
            take_lists(&mut chain, &self.admin);
            let mut packages = KeyPackages::new();
            let package = packages.generate(&identity, &chain, SystemTime::now()).expect("a key package");
            signaling.publish_key_packages(vec![package], None).await.expect("the server takes it");
            waiting.push((identity, signaling, chain, packages));
        }
        let mut phones = Vec::new();
        for (identity, signaling, chain, mut packages) in waiting {
            let welcome = self.welcome(&signaling).await;
            let member =
                Member::join(&identity, &chain, &mut packages, self.camera, welcome.welcome.as_slice());
            let member = member.expect("the Welcome is good");
            let mut phone = Phone { identity, chain, member, seq: welcome.seq, openers: BTreeMap::new() };
            phone.keep_keys();
            phones.push(phone);
        }
        phones
    }

    async fn welcome(&self, signaling: &Signaling) -> latchkey_api::group::PendingWelcome {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(welcome) = signaling.welcomes().await.expect("the server answers").pop() {
                return welcome;
            }
            assert!(Instant::now() < deadline, "the camera lets nobody in");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Removes a phone; returns how long it took from the admin's word until the server had the camera's commit.
    async fn remove(&mut self, device: DeviceId) -> Duration {
        let began = Instant::now();
        self.change(Reason::Removed, |list| list.without(device).expect("it is listed")).await;
        let deadline = Instant::now() + LIMIT;
        let version = self.admin.list().expect("there is a list").version;
        // The commit that comes now is the removal: nothing else waits.
        let seen =
            self.messages.lock().unwrap_or_else(PoisonError::into_inner).last().map_or(0, |last| last.seq);
        loop {
            if self.heard_after(seen)
                && let Some(heard) = self.commit_after(seen).await
            {
                self.accepted.insert(device, heard);
                return heard - began;
            }
            assert!(Instant::now() < deadline, "no commit for list {version}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn heard_after(&self, seen: u64) -> bool {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).keys().any(|seq| *seq > seen)
    }

    /// When the server told of the first commit after `seen`.
    async fn commit_after(&self, seen: u64) -> Option<Instant> {
        let messages = self.messages().await;
        let commit =
            messages.iter().find(|message| message.seq > seen && message.kind == MessageKind::Commit)?;
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).get(&commit.seq).copied()
    }

    /// Signs and posts the next list.
    async fn change(&mut self, reason: Reason, change: impl FnOnce(DeviceList) -> DeviceList) {
        let head = self.admin.chain().head().expect("there is a list");
        let list = DeviceList::after(head, Signer::Device(self.admin.device()), now(), reason);
        let list = self.admin.identity().sign_list(change(list)).as_bytes().to_vec();
        self.signaling.post_list(list).await.expect("the server takes the list");
        self.admin.refresh(&self.signaling).await.expect("the admin's own list");
    }

    /// Every message of the camera's group so far.
    async fn messages(&self) -> Vec<GroupMessage> {
        let known = self.messages.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let after = known.last().map_or(0, |last| last.seq);
        let group = GroupId::new(self.camera, 0);
        let news = self.signaling.messages_after(group, after).await.expect("the server answers");
        let all: Vec<_> = known.into_iter().chain(news).collect();
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&all);
        all
    }

    /// What the relay counts under this name, all its series together.
    async fn metric(&self, name: &str) -> f64 {
        let url = format!("{}/metrics", self.server.urls().ops.trim_end_matches('/'));
        let text = reqwest::get(url).await.expect("the ops port answers").text().await.expect("text");
        let series = text.lines().filter(|line| line.starts_with(name));
        series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    async fn eventually(&self, what: &str, done: impl Fn() -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !done() {
            assert!(Instant::now() < deadline, "{what}: not within 30 s");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Puts the relay's packets together again.
    fn frames(&self) -> Vec<Frame> {
        let packets = self.tapped.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut ear, mut frames) = (Ear::default(), Vec::new());
        let (mut scratch, mut seen) = (Vec::new(), HashSet::new());
        for heard in packets.iter().flat_map(|packet| ear.hear(packet)) {
            let parts = envelope::split(heard.codec, &heard.wire, &mut scratch).expect("a frame of ours");
            let header = SframeHeader::read(parts.sframe).expect("an SFrame");
            if seen.insert((header.kid, header.ctr)) {
                frames.push(Frame {
                    kid: header.kid,
                    ctr: header.ctr,
                    envelope: parts.envelope.to_vec(),
                    sframe: parts.sframe.to_vec(),
                });
            }
        }
        frames
    }
}

/// Notes when the server told of each message.
async fn listen(signaling: Signaling, camera: DeviceId, heard: Arc<Mutex<HashMap<u64, Instant>>>) {
    let mut events = signaling.events();
    while let Some(update) = events.next().await {
        if let SignalUpdate::Event(ServerEvent::Message { group, seq }) = update
            && group.camera() == camera
        {
            heard.lock().unwrap_or_else(PoisonError::into_inner).insert(seq, Instant::now());
        }
    }
}

async fn enrol(admin: &mut Home, role: Role, dir: &Path) -> DeviceId {
    let invitation = Invitation::new(admin, role, "A device").expect("an invitation");
    let code = invitation.code().reveal().parse().expect("a code reads itself");
    let (invited, joined) = tokio::join!(invitation.wait(admin), join(dir, &code, LIMIT));
    joined.expect("the device joins");
    invited.expect("the admin lets it in").device
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}
