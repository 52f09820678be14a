//! The outsider: a client that holds a valid grant and gets every byte of the relay, and is on no list.
//!
//! It plays the operator, or whoever took the operator's keys: it signs itself a grant with the server's own key. What
//! it lacks is a place on the household's list, so the best it has are frame keys of a group that it founded itself.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use latchkey::jitter::{Jitter, Limits};
use latchkey::transport::RelayDoor;
use latchkey::transport::webrtc::Subscriber;
use latchkey_api::device_list::{DeviceList, ListChain, Reason, Role, Signer};
use latchkey_api::id::{DeviceId, HouseholdId};
use latchkey_e2ee::group::CameraGroup;
use latchkey_e2ee::identity::{DeviceIdentity, HouseholdRoot};
use latchkey_e2ee::open::{FrameOpener, OpenError};
use latchkey_signaling_core::names::{handle_of, room_of};
use latchkey_wire::codec::MediaKind;
use latchkey_wire::envelope;
use latchkey_wire::grant::{Grant, GrantSigner, Scope};
use latchkey_wire::id::DeviceHandle;
use tokio_util::sync::CancellationToken;

/// How the server names its signing key, and where it keeps it.
const GRANT_KEY_ID: &str = "signaling-1";
const GRANT_KEY_FILE: &str = "grant-signing.key";

/// What the outsider got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Whole video frames received.
    pub received: u64,
    /// Frames on which a cipher was tried with keys of its own.
    pub tried: u64,
    /// Frames that opened.
    pub opened: u64,
}

/// Signs a grant to view `camera`'s room, with the signing key in the server's data folder; for `device`, or for nobody.
///
/// # Errors
/// When the key cannot be read or the ids are none.
pub fn steal_grant(
    data_dir: &Path,
    household: &str,
    camera: &str,
    device: Option<&str>,
) -> anyhow::Result<(String, String)> {
    let text = std::fs::read_to_string(data_dir.join(GRANT_KEY_FILE)).context("the server's signing key")?;
    let seed = latchkey_api::encoding::from_text(text.trim())
        .map_err(|_| anyhow::anyhow!("no key in the key file"))?;
    let seed: [u8; 32] = seed.as_slice().try_into().context("the signing key has 32 bytes")?;
    let household: HouseholdId = household.parse().context("household id")?;
    let camera: DeviceId = camera.parse().context("camera id")?;
    let (room, now) = (room_of(&household, &camera), SystemTime::now());
    let (mut nobody, mut token_id) = ([0; 16], [0; 16]);
    getrandom::fill(&mut nobody)?;
    getrandom::fill(&mut token_id)?;
    let device = match device {
        Some(device) => handle_of(&household, &device.parse().context("device id")?),
        None => DeviceHandle::from(nobody),
    };
    let grant = Grant {
        audience: "latchkey".to_owned(),
        room,
        scopes: vec![Scope::View],
        device,
        token_id,
        issued_at: now,
        expires_at: now + Duration::from_secs(60),
        session_expires_at: now + Duration::from_secs(3600),
    };
    Ok((room.to_string(), GrantSigner::from_seed(GRANT_KEY_ID, &seed)?.sign(&grant)?))
}

/// Watches with a stolen grant until told to stop, and tries to open every video frame.
///
/// # Errors
/// When the relay does not let it in: then it could not show anything.
pub async fn watch(
    door_url: &str,
    room: &str,
    grant: String,
    stop: CancellationToken,
    mut on_frame: impl FnMut(Outcome),
) -> anyhow::Result<Outcome> {
    let mut tries = Tries::new()?;
    receive(door_url, room, grant, stop, |frame| on_frame(tries.take(frame))).await?;
    Ok(tries.outcome)
}

/// The outsider's tries to open what it gets.
pub struct Tries {
    keys: OwnKeys,
    outcome: Outcome,
    picture: Vec<u8>,
}

impl Tries {
    /// Makes keys of its own.
    ///
    /// # Errors
    /// When no keys can be made.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self { keys: OwnKeys::new()?, outcome: Outcome::default(), picture: Vec::new() })
    }

    /// Tries to open a frame; returns what it got so far.
    pub fn take(&mut self, frame: Option<Sealed<'_>>) -> Outcome {
        self.outcome.received += 1;
        if let Some(Sealed { sframe, envelope }) = frame {
            match self.keys.open(sframe, envelope, &mut self.picture) {
                Ok(()) => self.outcome.opened += 1,
                Err(OpenError::AuthenticationFailed) => self.outcome.tried += 1,
                Err(_) => {}
            }
        }
        self.outcome
    }
}

/// One frame as the relay gives it to everybody.
#[derive(Debug, Clone, Copy)]
pub struct Sealed<'a> {
    /// The SFrame bytes.
    pub sframe: &'a [u8],
    /// The clear bytes that come with them.
    pub envelope: &'a [u8],
}

/// Receives with a stolen grant until told to stop, and gives every whole video frame; none where it is not a sealed one.
///
/// # Errors
/// When the relay does not let it in.
pub async fn receive(
    door_url: &str,
    room: &str,
    grant: String,
    stop: CancellationToken,
    mut on_frame: impl FnMut(Option<Sealed<'_>>),
) -> anyhow::Result<()> {
    let url = format!("{}/whep/{room}", door_url.trim_end_matches('/')).parse()?;
    let door = RelayDoor { url, grant: grant.into() };
    let (subscriber, mut incoming) = Subscriber::connect(reqwest::Client::new(), door).await?;
    let (mut jitter, mut scratch): (Option<Jitter>, _) = (None, Vec::new());
    loop {
        let packet = tokio::select! {
            packet = incoming.packets.recv() => packet,
            () = stop.cancelled() => break,
        };
        let Some(packet) = packet else { break };
        if packet.kind != MediaKind::Video {
            continue;
        }
        let codec = packet.codec;
        let frames = jitter.get_or_insert_with(|| Jitter::new(codec, Limits::default()));
        frames.push(packet);
        while let Some(frame) = frames.pop(Instant::now()) {
            let parts = envelope::split(codec, &frame.wire, &mut scratch).ok();
            on_frame(parts.map(|parts| Sealed { sframe: parts.sframe, envelope: parts.envelope }));
        }
    }
    subscriber.close().await;
    Ok(())
}

/// Frame keys of a group of one's own, carried on to whatever epoch the frames name.
struct OwnKeys {
    group: CameraGroup,
    lists: ListChain,
    opener: FrameOpener,
}

impl OwnKeys {
    fn new() -> anyhow::Result<Self> {
        let now = SystemTime::now();
        let seconds = now.duration_since(UNIX_EPOCH)?.as_secs();
        let (root, _) = HouseholdRoot::generate()?;
        let (phone, camera) = (DeviceIdentity::generate()?, DeviceIdentity::generate()?);
        let mut lists = ListChain::new(&root.public())?;
        let admin = phone.public().entry(Role::Admin, seconds, Vec::new());
        let first = DeviceList::founding(root.household(), admin, seconds)?;
        lists.accept(root.sign_list(first).as_bytes(), Some(now))?;
        let head = lists.head().context("a list was accepted")?;
        let second = DeviceList::after(head, Signer::Device(phone.device()), seconds, Reason::Added)
            .with(camera.public().entry(Role::Camera, seconds, Vec::new()))?;
        lists.accept(phone.sign_list(second).as_bytes(), Some(now))?;
        let group = CameraGroup::found(&camera, &lists, now)?;
        let mut opener = FrameOpener::new();
        opener.add_epoch(group.frame_keys()?, Duration::ZERO);
        Ok(Self { group, lists, opener })
    }

    fn open(&mut self, sframe: &[u8], envelope: &[u8], out: &mut Vec<u8>) -> Result<(), OpenError> {
        let result = self.opener.open(sframe, envelope, out);
        if result == Err(OpenError::UnknownEpoch) && self.next_epoch().is_some() {
            return self.opener.open(sframe, envelope, out).map(drop);
        }
        result.map(drop)
    }

    /// Commits once in the own group, so that its epoch comes nearer to that of the frames.
    fn next_epoch(&mut self) -> Option<()> {
        self.group.renew(&self.lists, SystemTime::now()).ok()?;
        self.group.confirm().ok()?;
        self.opener.add_epoch(self.group.frame_keys().ok()?, Duration::ZERO);
        Some(())
    }
}
