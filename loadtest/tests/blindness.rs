//! Whatever a server sees and holds in a whole run opens nothing: every socket, file, log and its memory, searched and tried.
#![allow(clippy::print_stdout)] // figures are for whoever runs it

mod support;

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;

use latchkey::vault::Vault;
use latchkey_e2ee::inner::InnerHeader;
use latchkey_e2ee::key_schedule::EpochKeys;
use latchkey_e2ee::kid::SenderSession;
use latchkey_e2ee::seal::FrameSealer;
use latchkey_e2ee::trial::{Trial, base_key};
use latchkey_loadtest::capture::{Recorder, TcpFront};
use latchkey_loadtest::household::{Device, Household, Role, is};
use latchkey_loadtest::leak::{Needles, WINDOW, dump_memory};
use latchkey_loadtest::lossy::Lossy;
use latchkey_loadtest::process::Process;
use latchkey_loadtest::secrets;
use latchkey_loadtest::server::{Server, Setup};
use latchkey_wire::codec::Codec;
use support::{LIMIT, bundled, clip, epoch_keys};

/// Video frames that each viewer opens: all of the bundled clip.
const WATCHED: u64 = 320;
/// Least that is searched, in bytes.
const LEAST_BYTES: usize = 50_000_000;
/// Least windows that are tried as keys.
const LEAST_TRIED: usize = 1_000_000;
/// Most windows that are tried, spread evenly over all there are; with `LATCHKEY_SOAK` all are.
const MOST_TRIED: usize = 4_000_000;
/// A window with fewer distinct bytes is no key: of 100 million random keys one has fewer.
const KEY_DISTINCT: usize = 9;

#[test]
fn what_a_server_has_opens_nothing() {
    let mut run = Demo::start();
    let watched = run.watch();
    let mut needles = Needles::new();
    let secret_bytes = run.add_secrets(&mut needles);
    let keys = epoch_keys(&run.camera.home);

    let haystacks = run.everything(watched);
    let bytes: usize = haystacks.iter().map(|(_, bytes)| bytes.len()).sum();
    let found: Vec<_> = haystacks
        .iter()
        .flat_map(|(name, bytes)| needles.search(bytes).secrets.into_iter().map(move |hit| (name, hit)))
        .collect();
    let tried = try_as_keys(&haystacks, &probe(&keys));
    assert!(tried.opened.is_empty(), "the key of the epoch stands in {:?}", tried.opened);

    // The control: a server that was given keys is found out, by search and by trial.
    let planted = run.plant(&keys);
    let control = planted.iter().map(|(_, bytes)| needles.search(bytes).hits).sum::<usize>();
    let opened = try_as_keys(&planted, &probe(&keys)).opened;
    let control = if control > 0 && !opened.is_empty() { "found" } else { "missed" };
    println!(
        "blindness: bytes={bytes} windows={} needles={} secret_bytes={secret_bytes} haystacks={} hits={} control={control}",
        tried.windows,
        needles.len(),
        haystacks.len(),
        found.len(),
    );
    assert_eq!(found, [], "the server has what it must not have");
    assert_eq!(control, "found", "a planted key is found by search and opens by trial: {opened:?}");
    assert!(bytes >= LEAST_BYTES, "{bytes} bytes are not a whole server");
    assert!(tried.windows >= LEAST_TRIED);
}

/// The demo: household, camera and two viewers, every byte of theirs through a front that keeps it.
struct Demo {
    front: TcpFront,
    /// Carries every datagram.
    _media: Lossy,
    recorder: Recorder,
    server: Server,
    household: Household,
    camera: Device,
    viewer: Device,
    dir: tempfile::TempDir,
}

type Haystack = (String, Vec<u8>);

impl Demo {
    fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("latchkey-test-").tempdir().expect("a temporary folder");
        let recorder = Recorder::default();
        let front = TcpFront::start(&recorder).expect("a port");
        let media = Lossy::start().expect("a port");
        media.record(&recorder);
        let url = format!("http://{}", front.address());
        let more = ["--public-url", &url, "--public-address", &media.address().to_string()];
        let more = more.map(str::to_owned).into();
        let server = Server::start_with(dir.path(), Setup { more, ..Setup::default() }).expect("a server");
        front.forward_to(address(&server.doors().signaling_url));
        media.forward_to(server.doors().media.parse().expect("the media socket's address"));
        let household = Household::create(dir.path(), &url, "Ada's own telephone").expect("a household");
        let camera = household.enrol(Role::Camera, "The front door camera").expect("the camera joins");
        let viewer = household.enrol(Role::Viewer, "The kitchen tablet").expect("the viewer joins");
        Self { front, _media: media, recorder, server, household, camera, viewer, dir }
    }

    /// Lets camera and viewers run, and returns the server's memory while they do.
    fn watch(&mut self) -> Vec<u8> {
        let inputs = [clip(), bundled("doorbell.opus.ogg")].map(|path| path.to_string_lossy().into_owned());
        let mut camera =
            self.camera.camera(self.dir.path(), &inputs.each_ref().map(String::as_str)).expect("it starts");
        camera
            .wait_for("that it sends", LIMIT, |event| is(event, "sending").then_some(()))
            .expect("it sends");
        let mut viewers: Vec<Process> = [&self.household.admin, &self.viewer]
            .map(|device| device.view(self.dir.path(), &self.camera.id, &[]).expect("a viewer starts"))
            .into();
        for viewer in &mut viewers {
            let enough =
                |event: &serde_json::Value| event["opened_video"].as_u64().is_some_and(|n| n >= WATCHED);
            viewer
                .wait_for("enough frames", LIMIT, |event| enough(event).then_some(()))
                .expect("the viewer watches");
        }
        self.memory()
    }

    fn memory(&mut self) -> Vec<u8> {
        let mut memory = Vec::new();
        dump_memory(self.server.process().id(), &mut memory).expect("a child's memory can be read");
        memory
    }

    /// Adds pictures, sounds, words, names and every key of every device; returns how many bytes of group secrets.
    fn add_secrets(&self, needles: &mut Needles) -> usize {
        for path in [clip(), bundled("doorbell.opus.ogg")] {
            let plain = std::fs::read(path).expect("the clip is readable");
            needles.add("the clip", &plain);
        }
        needles.add("recovery words", self.household.words.as_bytes());
        let devices = [&self.household.admin, &self.camera, &self.viewer];
        let add =
            |device: &Device| secrets::add(needles, &device.home, &device.name).expect("readable secrets");
        devices.map(add).iter().sum()
    }

    /// Everything the server saw and has: its sockets, its memory during and after, its files, its log, its metrics.
    fn everything(&mut self, watched: Vec<u8>) -> Vec<Haystack> {
        let mut all = vec![("memory while watched".to_owned(), watched)];
        all.push(("memory afterwards".to_owned(), self.memory()));
        all.push(("metrics".to_owned(), self.metrics()));
        let runs = self.recorder.runs().into_iter().enumerate();
        all.extend(runs.map(|(number, bytes)| (format!("socket run {number}"), bytes)));
        all.extend(self.files());
        for (name, least) in
            [("socket", 500_000), ("memory", 10_000_000), ("file", 10_000), ("metrics", 1000)]
        {
            let kept = all.iter().filter(|(kept, _)| kept.starts_with(name)).map(|(_, bytes)| bytes.len());
            let kept = kept.sum::<usize>();
            assert!(kept >= least, "of {name} only {kept} bytes were kept");
        }
        all
    }

    fn files(&mut self) -> Vec<Haystack> {
        let mut paths = vec![self.server.process().log().to_owned()];
        let data = std::fs::read_dir(self.server.data_dir()).expect("the data folder");
        paths.extend(data.flatten().map(|file| file.path()));
        assert!(paths.len() >= 3, "log, database and signing key: {paths:?}");
        let read = |path: &Path| std::fs::read(path).expect("the file is readable");
        paths.iter().map(|path| (format!("file {}", path.display()), read(path))).collect()
    }

    fn metrics(&self) -> Vec<u8> {
        get(&format!("{}/metrics", self.server.doors().ops_url.trim_end_matches('/'))).into_bytes()
    }

    /// Gives the server the epoch's key and the key of the names, as a careless client might, and returns its files and what
    /// it heard of it.
    fn plant(&mut self, keys: &EpochKeys) -> Vec<Haystack> {
        let vault = Vault::look(&self.viewer.home).expect("the vault opens");
        let names = vault.record("label-key").expect("every device has it");
        let message = base64url(&[base_key(keys).as_slice(), names].concat());
        let mailbox = base64url(&[7; 16]);
        let url = format!("http://{}/v1/mailboxes/{mailbox}", self.front.address());
        post(&url, &serde_json::json!({ "message": message }));
        let mut planted = self.files();
        planted.retain(|(name, _)| name.contains("sqlite") || name.contains(".db"));
        planted
    }
}

/// A frame of the epoch: a key that opens it opens every frame that the server carried.
fn probe(keys: &EpochKeys) -> Trial {
    let header = InnerHeader { captured_ms: 1, key_frame: true, codec: Codec::Opus };
    let mut sframe = Vec::new();
    FrameSealer::new(keys, SenderSession(u32::MAX))
        .seal(1, header, &[], b"a sound", &mut sframe)
        .expect("a frame can be sealed");
    let mut trial = Trial::new(&sframe, &[]).expect("it is an SFrame");
    assert!(trial.opens_with(&base_key(keys)), "the right key opens it");
    trial
}

/// What came of trying.
struct Tried {
    windows: usize,
    /// Where a window opened the frame.
    opened: Vec<String>,
}

/// Tries every distinct window that may be a key as the base key of `probe`.
fn try_as_keys(haystacks: &[Haystack], probe: &Trial) -> Tried {
    let hasher = RandomState::new();
    let mut seen = HashSet::new();
    let mut candidates: Vec<(usize, &[u8; WINDOW])> = Vec::new();
    for (index, (_, bytes)) in haystacks.iter().enumerate() {
        let windows = bytes.windows(WINDOW).filter_map(|window| window.first_chunk());
        let new =
            windows.filter(|window| distinct(window) >= KEY_DISTINCT && seen.insert(hasher.hash_one(window)));
        candidates.extend(new.map(|window| (index, window)));
    }
    if std::env::var_os("LATCHKEY_SOAK").is_none() {
        let every = candidates.len().div_ceil(MOST_TRIED);
        candidates = candidates.into_iter().step_by(every.max(1)).collect();
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = candidates.len().div_ceil(threads).max(1);
    let opened = std::thread::scope(|scope| {
        let tries = candidates.chunks(share).map(|part| {
            let mut probe = probe.clone();
            scope.spawn(move || {
                let opens = |(_, window): &&(usize, &[u8; WINDOW])| probe.opens_with(window);
                part.iter().filter(opens).map(|(index, _)| *index).collect::<Vec<_>>()
            })
        });
        let running: Vec<_> = tries.collect();
        running.into_iter().flat_map(|thread| thread.join().expect("a try ends")).collect::<Vec<_>>()
    });
    let names = opened.into_iter().map(|index| haystacks[index].0.clone());
    Tried { windows: candidates.len(), opened: names.collect() }
}

fn distinct(window: &[u8; WINDOW]) -> usize {
    let mut sorted = *window;
    sorted.sort_unstable();
    1 + sorted.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

fn address(url: &str) -> std::net::SocketAddr {
    let authority = url.trim_start_matches("http://").trim_end_matches('/');
    authority.parse().expect("a loopback address")
}

fn base64url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

fn get(url: &str) -> String {
    block_on(async { reqwest::get(url).await.expect("an answer").text().await.expect("a text") })
}

fn post(url: &str, body: &serde_json::Value) {
    let answer = block_on(reqwest::Client::new().post(url).json(body).send()).expect("an answer");
    assert!(answer.status().is_success(), "the mailbox takes it: {}", answer.status());
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().expect("a runtime").block_on(future)
}
