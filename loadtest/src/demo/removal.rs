//! The demo's removal: an admin takes the tablet off the list while a copy of the tablet goes on hearing everything.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use latchkey::home;
use latchkey::vault::Vault;
use latchkey_e2ee::group::Member;
use latchkey_e2ee::kid::Kid;
use latchkey_e2ee::open::FrameOpener;
use latchkey_wire::sframe_header::SframeHeader;

use crate::demo::ear::Ear;
use crate::demo::told::say;
use crate::household::{Device, Household, is};
use crate::outsider::Sealed;
use crate::process::Process;
use crate::server::Server;

/// The longest for each part of it before the demo gives up.
const LIMIT: Duration = Duration::from_secs(45);
/// Frames that must come under the new keys before it counts as shown.
const FRAMES_AFTER: u64 = 25;

/// What the removal has shown.
#[derive(Debug, Clone, Copy)]
pub struct Removed {
    /// From the start of the admin's command until a frame under the new keys was on the wire, milliseconds.
    pub ms: u64,
    /// Frames that the removed device's copy still received under the new keys.
    pub received_after: u64,
    /// How many of them it opened.
    pub opened_after: u64,
}

/// What the copy of the tablet has heard.
#[derive(Debug, Default)]
struct Copy {
    /// Frames that it opened before the removal, or under the keys of before.
    opened: u64,
    /// By the last byte of the epoch: when the first frame came, how many came, and how many of them opened.
    epochs: BTreeMap<u8, (Instant, u64, u64)>,
}

/// Where it stands.
enum Stage {
    /// The copy must open frames, so that it shows something when it does not.
    Copied,
    /// The admin's command runs.
    Signing { command: Process, began: Instant },
    /// The camera has said in which epoch it seals for the others only; frames of it must come.
    Changed { epoch: u64, began: Instant },
    /// All is shown.
    Shown(Removed, u8),
}

/// The removal as it goes on beside the rest of the demo.
pub(super) struct Removal {
    copy: Ear<Copy>,
    stage: Stage,
    since: Instant,
}

impl Removal {
    /// Copies the folder of `device`, as a thief of a backup would, and lets the copy hear everything from now on.
    pub(super) fn begin(
        dir: &Path,
        server: &Server,
        household: &Household,
        camera: &Device,
        device: &Device,
    ) -> anyhow::Result<Self> {
        let stolen = dir.join("stolen-copy");
        std::fs::create_dir(&stolen).context("the copy's folder")?;
        for file in ["device.vault", "device.key"] {
            std::fs::copy(device.home.join(file), stolen.join(file)).context("the copy")?;
        }
        let mut opener = opener_of(&stolen, camera)?;
        let mut picture = Vec::new();
        let copy = Ear::start((server, household, camera), Copy::default(), move |copy, frame| {
            let Some(Sealed { sframe, envelope }) = frame else { return };
            let opened = u64::from(opener.open(sframe, envelope, &mut picture).is_ok());
            copy.opened += opened;
            let kid = SframeHeader::read(sframe).ok().and_then(|header| Kid::from_value(header.kid));
            if let Some(kid) = kid {
                let seen = copy.epochs.entry(kid.epoch_bits()).or_insert_with(|| (Instant::now(), 0, 0));
                seen.1 += 1;
                seen.2 += opened;
            }
        });
        say("thief", &format!("has copied {:?} with all its keys, and receives every byte", device.name));
        Ok(Self { copy, stage: Stage::Copied, since: Instant::now() })
    }

    /// Returns what was shown, once it is.
    pub(super) fn shown(&self) -> Option<Removed> {
        let Stage::Shown(removed, bits) = &self.stage else { return None };
        let (_, received_after, opened_after) = self.copy.heard(|copy| copy.epochs.get(bits).copied())?;
        Some(Removed { received_after, opened_after, ..*removed })
    }

    /// Says how the copy fares since the removal; nothing before.
    pub(super) fn figures(&self) -> Option<String> {
        let Removed { received_after, opened_after, .. } = self.shown()?;
        Some(format!("{received_after} frames received since the removal, {opened_after} opened"))
    }

    /// Goes on as far as it can without waiting.
    pub(super) fn go_on(&mut self, dir: &Path, admin: &Device, device: &Device) -> anyhow::Result<()> {
        if let Some(error) = self.copy.failure() {
            anyhow::bail!("the copy of {:?} could not listen, so it shows nothing: {error}", device.name);
        }
        if !matches!(self.stage, Stage::Shown(..)) && self.since.elapsed() > LIMIT {
            anyhow::bail!("the removal of {:?} came to nothing in {} s", device.name, LIMIT.as_secs());
        }
        let next = match &mut self.stage {
            Stage::Copied => {
                let opened = self.copy.heard(|copy| copy.opened);
                (opened > 0).then(|| {
                    say("thief", &format!("{opened} frames opened with the copied keys, so far"));
                    say(&admin.name, &format!("signs a list without {:?}", device.name));
                    let began = Instant::now();
                    let command = admin.remove(dir, &device.name)?;
                    anyhow::Ok(Stage::Signing { command, began })
                })
            }
            Stage::Signing { command, began } => {
                let mut changed = None;
                while let Some(event) = command.next_event(Duration::ZERO)? {
                    if is(&event, "removal_pending") {
                        anyhow::bail!("the camera has not changed its keys: {}", event["reason"]);
                    }
                    if is(&event, "camera_changed_keys") {
                        changed = event["epoch"].as_u64();
                        break;
                    }
                }
                changed.map(|epoch| Ok(Stage::Changed { epoch, began: *began }))
            }
            Stage::Changed { epoch, began } => {
                let [.., bits] = epoch.to_be_bytes();
                let seen = self.copy.heard(|copy| copy.epochs.get(&bits).copied());
                let seen = seen.filter(|(_, received, _)| *received >= FRAMES_AFTER);
                seen.map(|(first, received_after, opened_after)| {
                    let ms = first.saturating_duration_since(*began).as_millis();
                    let ms = u64::try_from(ms).unwrap_or(u64::MAX);
                    say(
                        "camera",
                        &format!(
                            "frames under new keys (epoch {epoch}) are on the wire {ms} ms after the admin's command began"
                        ),
                    );
                    Ok(Stage::Shown(Removed { ms, received_after, opened_after }, bits))
                })
            }
            Stage::Shown(..) => None,
        };
        if let Some(next) = next.transpose()? {
            self.stage = next;
            self.since = Instant::now();
        }
        Ok(())
    }

    /// Ends it, and returns what it has shown.
    pub(super) fn finish(self) -> Option<Removed> {
        let shown = self.shown();
        self.copy.finish();
        shown
    }
}

/// What opens frames with the keys that a device's folder holds at this moment.
fn opener_of(folder: &Path, camera: &Device) -> anyhow::Result<FrameOpener> {
    let home = home::look(folder)?;
    let vault = Vault::look(folder)?;
    let member = vault.record(&format!("group/{}", camera.id)).context("the tablet is in no group yet")?;
    let mut opener = FrameOpener::new();
    opener.add_epoch(Member::restore(member, home.chain())?.frame_keys()?, Duration::ZERO);
    Ok(opener)
}
