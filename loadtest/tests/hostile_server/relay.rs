//! Lies of the relay: frames held back, shown again, of another camera, without their envelope, and made by a member.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use latchkey::stats::Authenticity;
use latchkey::viewer::OpenedFrame;
use latchkey_api::device_list::Role;
use latchkey_api::session::{OpenSession, SessionScope};
use latchkey_e2ee::key_schedule::EpochKeys;
use latchkey_e2ee::kid::SenderSession;
use latchkey_e2ee::open::FrameOpener;
use latchkey_e2ee::seal::FrameSealer;
use latchkey_e2ee::trial;
use latchkey_loadtest::hostile::middle::{Lie, Then};
use latchkey_loadtest::hostile::reel::Reel;
use latchkey_loadtest::hostile::retake::Retake;
use latchkey_wire::codec::Codec;
use latchkey_wire::envelope;
use latchkey_wire::payload::{is_key_frame, starts_frame};
use tokio::sync::mpsc::{Receiver, channel};

use crate::stage::{LIMIT, Relay, Sending, Stage, Watching, checked, eventually, refused};

/// Every packet comes 5 s late.
pub fn hold_back(relay: &Relay) {
    let mut held: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    relay.meddle(move |_, packet| {
        held.push_back((Instant::now(), packet.to_vec()));
        let due = held.iter().take_while(|(since, _)| since.elapsed() >= DELAY).count();
        held.drain(..due).map(|(_, packet)| packet).collect()
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn delay() {
    let _all = checked().await;
    let stage = Stage::open().await;
    hold_back(&stage.relay);
    let _sending = stage.send("door").await;
    let watching = stage.see("bob", "door").await;
    watching.alarms.wait_for("delayed").await;
    assert_eq!(watching.handle.stats().live, Some(false));
    refused("delay", "frame-delay", "delayed");
    stage.close().await;
}

/// A newcomer is shown, again and again, what the camera sent long before it came.
pub async fn show_again(stage: &Stage) -> (Sending, Watching) {
    let playing = Arc::new(AtomicBool::new(false));
    let (mut reel, began, play) = (Reel::default(), Instant::now(), Arc::clone(&playing));
    let mut recording = true;
    stage.relay.meddle(move |_, packet| {
        if play.load(Ordering::SeqCst) {
            return reel.play(packet).into_iter().collect();
        }
        recording &= began.elapsed() < KEPT;
        if recording {
            reel.record(packet);
        } else {
            reel.pass(packet);
        }
        vec![packet.to_vec()]
    });
    let sending = stage.send("door").await;
    // An honest relay may begin with what it kept, but with nothing this old.
    tokio::time::sleep(OLD).await;
    playing.store(true, Ordering::SeqCst);
    tokio::time::sleep(KEPT).await;
    (sending, stage.watch("bob", "door").await)
}

#[tokio::test(flavor = "multi_thread")]
async fn replayed_pictures() {
    let _all = checked().await;
    let stage = Stage::open().await;
    let (_sending, watching) = show_again(&stage).await;
    watching.alarms.wait_for("replayed").await;
    assert_ne!(watching.handle.stats().live, Some(true));
    refused("replayed-pictures", "frame-replay+frame-delay", "replayed");
    stage.close().await;
}

/// Who asks for the door is let into the garage's room.
pub struct SwappedRooms {
    pub stage: Stage,
    pub watching: Watching,
    pub _sending: Vec<Sending>,
    pub _lie: Lie,
}

impl SwappedRooms {
    pub async fn prepare() -> Self {
        let stage = Stage::open().await;
        let (door, garage) = (stage.id("door"), stage.enrol("ada", Role::Camera, "garage").await);
        let mut running = Vec::new();
        for camera in ["door", "garage"] {
            running.push(stage.send(camera).await);
            // So that bob is in both groups.
            stage.see("bob", camera).await.handle.stop().await;
        }
        let lie = stage.middle.on_ask(move |ask| {
            if let Some(mut wish) = ask.json::<OpenSession>().filter(|_| ask.is("POST", "/v1/sessions"))
                && wish.scope == SessionScope::View
                && wish.camera == door
            {
                wish.camera = garage;
                ask.set_json(&wish);
            }
            Then::Pass
        });
        let watching = stage.watch("bob", "door").await;
        Self { stage, watching, _sending: running, _lie: lie }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn swapped_rooms() {
    let _all = checked().await;
    let case = SwappedRooms::prepare().await;
    case.watching.alarms.wait_for_note("wrong-camera").await;
    let stats = case.watching.handle.stats();
    assert_eq!((stats.opened_video, stats.opened_audio), (0, 0), "{stats:?}");
    refused("swapped-rooms", "frame-key", "wrong-camera(note)");
    case.stage.close().await;
}

/// From now on `change` makes something else of every frame.
pub fn change_frames(
    relay: &Relay,
    mut change: impl FnMut(Codec, &[u8]) -> Option<Vec<u8>> + Send + 'static,
) {
    let mut retake = Retake::default();
    relay.meddle(move |_, packet| retake.take(packet, &mut change));
}

/// Pictures of VP8, whose envelopes are a few bytes in front that a relay can take away or exchange.
pub async fn pictures_in_vp8() -> (Stage, Sending, Watching) {
    let stage = Stage::open().await;
    let sending = stage.send_clips("door", &["doorbell-vp8.ivf"]).await;
    let watching = stage.see("bob", "door").await;
    watching.opens(10).await;
    (stage, sending, watching)
}

/// Takes the envelope away from the first payload of a frame of VP8; an honest relay would end such a publication.
pub fn strip(payload: &[u8]) -> Option<Vec<u8>> {
    let (&descriptor, frame) = payload.split_first().filter(|_| starts_frame(Codec::Vp8, payload))?;
    let envelope = if is_key_frame(Codec::Vp8, payload) { VP8_KEY_ENVELOPE } else { VP8_DELTA_ENVELOPE };
    Some([&[descriptor], frame.get(envelope..)?].concat())
}

/// Gives every frame the envelope of a key frame.
pub fn exchange() -> impl FnMut(Codec, &[u8]) -> Option<Vec<u8>> {
    let mut of_key_frame = Vec::new();
    move |codec, wire| {
        let (mut scratch, mut changed) = (Vec::new(), Vec::new());
        let parts = envelope::split(codec, wire, &mut scratch).ok()?;
        if parts.key {
            of_key_frame = parts.envelope.to_vec();
        }
        if of_key_frame.is_empty() {
            return None;
        }
        envelope::join(codec, &of_key_frame, parts.sframe, &mut changed);
        Some(changed)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stripped_envelope() {
    let _all = checked().await;
    let (stage, _sending, watching) = pictures_in_vp8().await;
    stage.relay.touch(strip);
    // Frames that had left the relay before are still opened.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = watching.handle.stats().opened_video;
    watching.alarms.wait_for_note("changed-frames").await;
    assert_eq!(watching.handle.stats().opened_video, before, "nothing without its envelope opens");

    stage.relay.touch_nothing();
    change_frames(&stage.relay, exchange());
    let denied = || watching.handle.stats().failed.get("authentication_failed").copied().unwrap_or(0);
    eventually("frames refused for their envelope", || denied() >= 20).await;
    refused("stripped-envelope", "frame-envelope", "changed-frames(note)");
    stage.close().await;
}

/// A member that gives the relay frames of its own in place of the camera's.
pub struct Forger {
    pub opener: FrameOpener,
    /// Keys with which the library seals as the camera.
    pub keys: EpochKeys,
    pub sealer: Option<FrameSealer>,
    /// Seals in a session that the camera never had; else under the very key and counter of the frame it replaces.
    pub made_up: Option<SenderSession>,
}

impl Forger {
    pub fn new(stage: &Stage, made_up: Option<SenderSession>) -> Self {
        let own = stage.keys("bob", stage.id("door"));
        // The library seals under a device's own leaf only. A modified one does not ask: every member has the base
        // key, from which the camera's are derived (RFC 9605 section 5.2).
        let keys = stage.camera_keys("door");
        assert_eq!(*trial::base_key(&own), *trial::base_key(&keys), "bob holds the camera's key");
        let mut opener = FrameOpener::new();
        opener.add_epoch(own, Duration::ZERO);
        Self { opener, keys, sealer: None, made_up }
    }

    pub fn forge(&mut self, codec: Codec, wire: &[u8]) -> Option<Vec<u8>> {
        let (mut scratch, mut plain, mut sealed, mut forged) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let parts = envelope::split(codec, wire, &mut scratch).ok()?;
        let opened = self.opener.open(parts.sframe, parts.envelope, &mut plain).ok()?;
        let block = self.opener.block().map(<[u8]>::to_vec);
        plain.extend_from_slice(FORGED);
        let session = self.made_up.unwrap_or(opened.session);
        let sealer = match &mut self.sealer {
            Some(sealer) if sealer.session() == session => sealer,
            other => other.insert(FrameSealer::new(&self.keys, session)),
        };
        loop {
            // Counts up to the counter of the frame that is replaced.
            let (block, envelope) = (block.as_deref(), parts.envelope);
            let made = sealer.seal_with(opened.track, opened.header, block, envelope, &plain, &mut sealed);
            let ctr = made.ok()?.ctr;
            if ctr == opened.ctr || self.made_up.is_some() {
                break;
            }
            if ctr > opened.ctr {
                return None;
            }
        }
        envelope::join(codec, parts.envelope, &sealed, &mut forged);
        Some(forged)
    }
}

/// Bob, a member, forges the camera's frames; ada watches.
pub async fn forge(made_up: Option<SenderSession>) -> (Stage, Sending, Watching, Receiver<OpenedFrame>) {
    let stage = Stage::open().await;
    let sending = stage.send("door").await;
    stage.see("bob", "door").await.handle.stop().await;
    let (frames, received) = channel(10_000);
    let watching = stage.watch_into("ada", "door", frames).await;
    watching.opens(30).await;
    let mut forger = Forger::new(&stage, made_up);
    change_frames(&stage.relay, move |codec, wire| forger.forge(codec, wire));
    (stage, sending, watching, received)
}

pub async fn forged_frame(mut received: Receiver<OpenedFrame>) {
    let found = async {
        while let Some(opened) = received.recv().await {
            if opened.frame.data.ends_with(FORGED) {
                return;
            }
        }
        panic!("the viewer ended");
    };
    tokio::time::timeout(LIMIT, found).await.expect("a forged frame is shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_frames() {
    let _all = checked().await;
    let (stage, _sending, watching, _received) = forge(None).await;
    watching.alarms.wait_for("forged-frames").await;
    let is_forged = || watching.handle.stats().authenticity == Authenticity::Forged;
    eventually("the viewer's verdict", is_forged).await;
    refused("forged-frames", "frame-signed", "forged-frames");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_frames_of_a_session_that_never_was() {
    let _all = checked().await;
    let (stage, _sending, watching, _received) = forge(Some(SenderSession(0x4711_0815))).await;
    watching.alarms.wait_for("forged-frames").await;
    stage.close().await;
}

/// Bytes of clear codec data before the sealed ones, in a key frame of VP8 and in any other.
const VP8_KEY_ENVELOPE: usize = 10;
const VP8_DELTA_ENVELOPE: usize = 1;
const DELAY: Duration = Duration::from_secs(5);
/// How much of the camera's first pictures is kept to be shown again.
const KEPT: Duration = Duration::from_secs(3);
/// How long they lie: longer than an honest relay keeps anything.
const OLD: Duration = Duration::from_secs(12);
/// What a forged frame ends with.
const FORGED: &[u8] = b"not what the camera saw";
