//! A household whose server and relay are in the test's hands, and what its devices say about it.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use latchkey::alarm::Alarm;
use latchkey::event::Event;
use latchkey::home;
use latchkey::household::{self, Invitation};
use latchkey::source::spec::SourceSpec;
use latchkey::vault::Vault;
use latchkey::viewer::OpenedFrame;
use latchkey::{Camera, CameraConfig, CameraHandle, Viewer, ViewerConfig, ViewerHandle};
use latchkey_api::checks::{self, Check, Guard};
use latchkey_api::device_list::{DeviceList, Reason, Role, Signer};
use latchkey_api::id::DeviceId;
use latchkey_e2ee::group::{CameraGroup, Member};
use latchkey_e2ee::key_schedule::EpochKeys;
use latchkey_loadtest::hostile::ear::{Ear, Heard};
use latchkey_loadtest::hostile::middle::{Lie, Middle};
use latchkey_signaling::{Server, ServerConfig};
use latchkey_wire::id::RoomId;
use tempfile::TempDir;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::Sender;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::lies::{Tape, record};

/// A liveness limit: what takes longer is broken, not slow.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Switches are of the whole process: while one is off, no case that needs it on may run.
static SWITCHES: RwLock<()> = RwLock::const_new(());

/// Every check is on while this is held.
pub async fn checked() -> RwLockReadGuard<'static, ()> {
    SWITCHES.read().await
}

/// These checks are off while this is held, and no other test runs.
pub async fn without(checks: &[Check]) -> Unchecked {
    let alone = SWITCHES.write().await;
    Unchecked { _off: checks.iter().map(|check| checks::skip(*check)).collect(), _alone: alone }
}

/// Checks come back before another test begins.
pub struct Unchecked {
    _off: Vec<Guard>,
    _alone: RwLockWriteGuard<'static, ()>,
}

/// What refused which lie, until it was shown that it succeeds otherwise.
static REFUSED: Mutex<BTreeMap<&'static str, String>> = Mutex::new(BTreeMap::new());

/// A lie was refused by a check, and honest devices said so by this alarm.
pub fn refused(case: &'static str, by: &str, alarm: &str) {
    lock(&REFUSED).insert(case, format!("refused_by={by} alarm={alarm}"));
}

/// Without that check it succeeded: the line about this case is complete.
pub fn succeeded(case: &str) {
    let before = lock(&REFUSED).get(case).cloned();
    let before = before.unwrap_or_else(|| "refused_by=? (the test with all checks was not run)".to_owned());
    println!("hostile: case={case} {before} unchecked=attack-succeeded");
}

/// Server, relay, and the folders of a household.
pub struct Stage {
    pub middle: Middle,
    pub relay: Arc<Relay>,
    /// What passed through the server's hands.
    pub tape: Arc<Mutex<Tape>>,
    _recorder: [Lie; 2],
    server: Option<Server>,
    dir: TempDir,
}

/// What the relay does with packets: passes them on until told otherwise, and keeps the last sealed frames.
#[derive(Default)]
pub struct Relay {
    meddler: Mutex<Option<Meddler>>,
    toucher: Mutex<Option<Toucher>>,
    ear: Mutex<Ear>,
    heard: Mutex<VecDeque<Heard>>,
}

/// What a hostile relay makes of a payload at last, after all that an honest one checks.
pub type Toucher = Box<dyn Fn(&[u8]) -> Option<Vec<u8>> + Send>;
/// What a hostile relay makes of a packet.
pub type Meddler = Box<dyn FnMut(RoomId, &[u8]) -> Vec<Vec<u8>> + Send>;

impl Relay {
    /// From now on `meddler` decides what rooms get.
    pub fn meddle(&self, meddler: impl FnMut(RoomId, &[u8]) -> Vec<Vec<u8>> + Send + 'static) {
        *lock(&self.meddler) = Some(Box::new(meddler));
    }

    /// From now on `toucher` changes payloads on their way out.
    pub fn touch(&self, toucher: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static) {
        *lock(&self.toucher) = Some(Box::new(toucher));
    }

    /// From now on payloads go out as they are.
    pub fn touch_nothing(&self) {
        *lock(&self.toucher) = None;
    }

    /// The sealed frames that come from now on, once there are `count`.
    pub async fn listen(&self, count: usize) -> Vec<Heard> {
        lock(&self.heard).clear();
        eventually("sealed frames at the relay", || lock(&self.heard).len() >= count).await;
        lock(&self.heard).iter().cloned().collect()
    }

    fn packet(&self, room: RoomId, packet: &[u8]) -> Vec<Vec<u8>> {
        let frames = lock(&self.ear).hear(packet);
        let mut heard = lock(&self.heard);
        heard.extend(frames);
        let surplus = heard.len().saturating_sub(FRAMES_KEPT);
        heard.drain(..surplus);
        drop(heard);
        match lock(&self.meddler).as_mut() {
            Some(meddler) => meddler(room, packet),
            None => vec![packet.to_vec()],
        }
    }
}

impl Stage {
    /// Server and relay run; the household has the admin `ada`, the camera `door`, and the viewer `bob`.
    pub async fn open() -> Self {
        let stage = Self::empty().await;
        household::create(&stage.home("ada"), stage.middle.url(), "ada").await.expect("a household");
        stage.enrol("ada", Role::Camera, "door").await;
        stage.enrol("ada", Role::Viewer, "bob").await;
        stage
    }

    /// Server and relay run; there is no household.
    pub async fn empty() -> Self {
        let dir = tempfile::Builder::new().prefix("latchkey-hostile-").tempdir().expect("a folder");
        let relay = Arc::new(Relay::default());
        let (inbound, outbound) = (Arc::clone(&relay), Arc::clone(&relay));
        let meddler = latchkey_signaling::Meddler {
            inbound: Arc::new(move |room, packet| inbound.packet(room, packet)),
            outbound: Arc::new(move |payload| {
                lock(&outbound.toucher).as_ref().and_then(|touch| touch(payload))
            }),
        };
        let config = ServerConfig::loopback(dir.path().join("server"));
        let server = Server::start_meddled(config, meddler).await.expect("the server starts");
        let middle = Middle::start(&server.urls().signaling).await.expect("the middle starts");
        let (tape, recorder) = record(&middle);
        Self { middle, relay, tape, _recorder: recorder, server: Some(server), dir }
    }

    /// The folder of a device.
    pub fn home(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `admin` lets a new device in; both are real clients.
    pub async fn enrol(&self, admin: &str, role: Role, name: &str) -> DeviceId {
        let mut admin = home::open(&self.home(admin)).expect("the admin's folder");
        let invitation = Invitation::new(&admin, role, name).expect("an invitation");
        let code = invitation.code().reveal().parse().expect("a code reads itself");
        let home = self.home(name);
        let (invited, joined) =
            tokio::join!(invitation.wait(&mut admin), household::join(&home, &code, LIMIT));
        joined.expect("the device joins");
        invited.expect("the admin lets it in").device
    }

    /// Signs the list that follows the one that `admin` knows; `change` makes it out of that one.
    pub fn sign(
        &self,
        admin: &str,
        reason: Reason,
        change: impl FnOnce(DeviceList) -> DeviceList,
    ) -> Vec<u8> {
        let home = home::look(&self.home(admin)).expect("the admin's folder");
        let head = home.chain().head().expect("a list");
        let list = DeviceList::after(head, Signer::Device(home.device()), seconds(), reason);
        home.identity().sign_list(change(list)).as_bytes().to_vec()
    }

    /// `admin` signs and posts the next list.
    pub async fn post(&self, admin: &str, reason: Reason, change: impl FnOnce(DeviceList) -> DeviceList) {
        let list = self.sign(admin, reason, change);
        let home = home::look(&self.home(admin)).expect("the admin's folder");
        home.signaling().post_list(list).await.expect("the server takes the list");
    }

    /// `admin` signs and posts the list without a device.
    pub async fn remove(&self, admin: &str, device: DeviceId) {
        let without = |list: DeviceList| list.without(device).expect("the device is listed");
        self.post(admin, Reason::Removed, without).await;
    }

    /// The id of a device.
    pub fn id(&self, name: &str) -> DeviceId {
        home::look(&self.home(name)).expect("the device's folder").device()
    }

    /// The members of a camera's group, as the camera has saved it.
    pub fn members(&self, camera: &str) -> Vec<DeviceId> {
        self.group(camera).members().into_iter().map(|(_, device)| device).collect()
    }

    /// The keys with which a camera seals.
    pub fn camera_keys(&self, camera: &str) -> EpochKeys {
        self.group(camera).frame_keys().expect("keys")
    }

    fn group(&self, camera: &str) -> CameraGroup {
        let home = home::look(&self.home(camera)).expect("the camera's folder");
        let vault = Vault::look(&self.home(camera)).expect("the camera's vault");
        let group = vault.record("camera/group").expect("a camera that has sent has a group");
        CameraGroup::restore(group, home.chain()).expect("the group is readable")
    }

    /// The keys that a viewer's device holds of a camera's group.
    pub fn keys(&self, viewer: &str, camera: DeviceId) -> EpochKeys {
        let home = home::look(&self.home(viewer)).expect("the viewer's folder");
        let vault = Vault::look(&self.home(viewer)).expect("the viewer's vault");
        let member = vault.record(&format!("group/{camera}")).expect("the viewer is in the group");
        Member::restore(member, home.chain()).and_then(|member| member.frame_keys()).expect("keys")
    }

    /// The camera in this folder sends the doorbell.
    pub async fn send(&self, name: &str) -> Sending {
        self.send_clips(name, &["doorbell.mp4", "doorbell.opus.ogg"]).await
    }

    /// The camera in this folder sends these clips, over and over.
    pub async fn send_clips(&self, name: &str, clips: &[&str]) -> Sending {
        let clips: Vec<String> = clips.iter().map(|name| clip(name).to_string_lossy().into_owned()).collect();
        let spec = SourceSpec::parse(&clips).expect("clips are sources");
        let handle =
            Camera::start(CameraConfig::new(self.home(name), spec)).await.expect("the camera starts");
        let alarms = Alarms::of(handle.events());
        assert!(handle.wait_sending(LIMIT).await, "the camera sends: {:?}", handle.story());
        Sending { _handle: handle, alarms }
    }

    /// The device in this folder watches a camera.
    pub async fn watch(&self, name: &str, camera: &str) -> Watching {
        Self::start(ViewerConfig::new(self.home(name), camera)).await
    }

    /// As [`Self::watch`], and hands what it opens to `frames`.
    pub async fn watch_into(&self, name: &str, camera: &str, frames: Sender<OpenedFrame>) -> Watching {
        let config = ViewerConfig::new(self.home(name), camera);
        Self::start(ViewerConfig { frames: Some(frames), ..config }).await
    }

    async fn start(config: ViewerConfig) -> Watching {
        let handle = Viewer::start(config).await.expect("the viewer starts");
        let alarms = Alarms::of(handle.events());
        Watching { handle, alarms }
    }

    /// As [`Self::watch`], and waits for the first picture.
    pub async fn see(&self, name: &str, camera: &str) -> Watching {
        let watching = self.watch(name, camera).await;
        assert!(watching.handle.wait_first_frame(LIMIT).await, "a picture: {:?}", watching.handle.story());
        watching
    }

    /// Ends the server.
    pub async fn close(mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown().await;
        }
    }
}

/// A camera that runs, until this is dropped.
pub struct Sending {
    _handle: CameraHandle,
    pub alarms: Alarms,
}

/// A viewer that runs.
pub struct Watching {
    pub handle: ViewerHandle,
    pub alarms: Alarms,
}

impl Watching {
    /// Waits until this many more frames of video were opened.
    pub async fn opens(&self, more: u64) {
        let before = self.handle.stats().opened_video;
        eventually("frames that open", || self.handle.stats().opened_video >= before + more).await;
    }
}

/// What one device has said.
pub struct Alarms(Arc<Mutex<Vec<Event>>>);

impl Alarms {
    fn of(mut events: Receiver<Event>) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heard);
        tokio::spawn(async move {
            loop {
                match events.recv().await {
                    Ok(event) => lock(&kept).push(event),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                }
            }
        });
        Self(heard)
    }

    /// Everything it said.
    pub fn events(&self) -> Vec<Event> {
        lock(&self.0).clone()
    }

    /// What it said, but for figures.
    pub fn said(&self) -> Vec<Event> {
        let is_figure = |event: &Event| matches!(event, Event::Stats(_) | Event::Sending(_));
        self.events().into_iter().filter(|event| !is_figure(event)).collect()
    }

    /// Its alarms.
    pub fn all(&self) -> Vec<Alarm> {
        let alarm = |event| if let Event::Alarm(alarm) = event { Some(alarm) } else { None };
        self.events().into_iter().filter_map(alarm).collect()
    }

    /// Waits until it said something about `word` in a note.
    pub async fn wait_for_note(&self, word: &str) {
        let about = |event: &Event| matches!(event, Event::Note { text } if text.contains(word));
        eventually(word, || self.events().iter().any(about)).await;
    }

    /// Waits until the camera's record of the epoch has come.
    pub async fn wait_for_record(&self) {
        let is_record = |event: &Event| matches!(event, Event::EpochRecord { .. });
        eventually("the camera's record", || self.events().iter().any(is_record)).await;
    }

    /// Whether it raised an alarm of this kind.
    pub fn has(&self, code: &str) -> bool {
        self.all().iter().any(|alarm| alarm.code() == code)
    }

    /// Waits for an alarm of this kind.
    pub async fn wait_for(&self, code: &str) -> Alarm {
        let found = || self.all().into_iter().find(|alarm| alarm.code() == code);
        let began = Instant::now();
        loop {
            if let Some(alarm) = found() {
                return alarm;
            }
            assert!(began.elapsed() < ALARM_LIMIT, "no alarm {code}; said were {:?}", self.said());
            tokio::time::sleep(TICK).await;
        }
    }
}

/// Waits until `done`.
pub async fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < LIMIT, "{what} did not come about");
        tokio::time::sleep(TICK).await;
    }
}

/// A clip of the project.
pub fn clip(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("clips").join(name)
}

/// The wall clock in seconds.
pub fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Frames that the relay's ear keeps.
const FRAMES_KEPT: usize = 600;
/// How long an alarm may take: silence is alarming after 15 s.
const ALARM_LIMIT: Duration = Duration::from_secs(40);
const TICK: Duration = Duration::from_millis(20);
