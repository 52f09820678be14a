//! Words of the household crate in the words of the face, and back.

use latchkey_api::device_list::{DeviceEntry, Right as ListRight, Rights, Role as ListRole};
use latchkey_api::id::DeviceId;
use latchkey_e2ee::enrol;
use latchkey_household::alarm::Alarm;
use latchkey_household::clock::unix_seconds;
use latchkey_household::event::Event as Told;
use latchkey_household::home::Home;
use latchkey_household::stats::{self, CameraStats, ViewerStats};
use latchkey_household::story;

use crate::face::Fault;
use crate::face::admit::Terms;
use crate::face::devices::{Device, Devices, Right, Role};
use crate::face::enrol::Kind;
use crate::face::event::Event;
use crate::face::figures::{Authenticity, Failed, Figures, SendingFigures};
use crate::face::session::{Step, Watcher};

/// What a watch or camera tells, where the page is to hear it.
pub(crate) fn event(session: u32, told: Told) -> Option<Event> {
    Some(match told {
        Told::Step { step, ms } => Event::StepDone { session, step: step.into(), ms },
        Told::Trying { step, reason } => Event::Trying { session, step: step.into(), reason },
        Told::Reconnecting { reason } => Event::Trying { session, step: Step::Relay, reason },
        Told::NewEpoch { epoch, members } => {
            Event::NewEpoch { session, epoch, members: u32::try_from(members).unwrap_or(u32::MAX) }
        }
        Told::SealingStopped { reason } => Event::Sealing { session, stopped: Some(reason) },
        Told::SealingGoesOn => Event::Sealing { session, stopped: None },
        Told::Note { text } => Event::Note { session: Some(session), text },
        Told::Alarm(told) => alarm(Some(session), &told),
        Told::Notice(notice) => Event::Notice { code: notice.code.to_owned(), text: notice.text },
        Told::EpochRecord { epoch, list } => Event::EpochRecord { session, epoch, list_version: list },
        Told::Watching { devices } => {
            let watcher = |watcher: latchkey_household::event::Watcher| Watcher {
                device: watcher.device.to_string(),
                name: watcher.name,
            };
            Event::Watching { session, devices: devices.into_iter().map(watcher).collect() }
        }
        Told::Ended { reason } => Event::Ended { session, reason },
        // Figures are told by the session itself, and the first frame is a step.
        _ => return None,
    })
}

pub(crate) fn alarm(session: Option<u32>, alarm: &Alarm) -> Event {
    Event::Alarm { session, code: alarm.code().to_owned(), text: alarm.to_string() }
}

pub(crate) fn figures(stats: ViewerStats, blind: bool) -> Figures {
    Figures {
        opened_video: stats.opened_video,
        opened_audio: stats.opened_audio,
        failed: failed(stats.failed),
        fps: stats.fps,
        bits_per_second: stats.bits_per_second,
        age_ms: stats.age_ms,
        signed: stats.signed,
        unverified: stats.unverified,
        forged: stats.forged,
        authenticity: match stats.authenticity {
            stats::Authenticity::Signed => Authenticity::Signed,
            stats::Authenticity::Forged => Authenticity::Forged,
            _ => Authenticity::NotVerified,
        },
        live: stats.live,
        blind,
    }
}

pub(crate) fn sending(stats: &CameraStats) -> SendingFigures {
    let dropped = (stats.dropped > 0).then(|| Failed { reason: "dropped".to_owned(), frames: stats.dropped });
    SendingFigures {
        sealed_video: stats.sent_video,
        sealed_audio: stats.sent_audio,
        failed: dropped.into_iter().collect(),
        epoch: stats.epoch,
        fps: stats.fps,
        bits_per_second: stats.bits_per_second,
    }
}

fn failed(counts: impl IntoIterator<Item = (&'static str, u64)>) -> Vec<Failed> {
    counts.into_iter().map(|(reason, frames)| Failed { reason: reason.to_owned(), frames }).collect()
}

/// The newest list; nothing before there is one.
pub(crate) fn devices(home: &Home) -> Devices {
    let Ok(list) = home.list() else { return Devices { list_version: 0, devices: Vec::new() } };
    let devices = list.devices.iter().map(|entry| device(home, entry)).collect();
    Devices { list_version: list.version, devices }
}

fn device(home: &Home, entry: &DeviceEntry) -> Device {
    let cameras = entry.cameras.as_ref();
    Device {
        id: entry.device.to_string(),
        name: home.label(entry),
        role: entry.role.into(),
        rights: RIGHTS
            .into_iter()
            .filter(|(right, _)| entry.rights.contains(*right))
            .map(|(_, ours)| ours)
            .collect(),
        cameras: cameras.map(|cameras| cameras.iter().map(DeviceId::to_string).collect()),
        since: entry.not_before.saturating_mul(1000),
        ends: entry.not_after.map(|end| end.saturating_mul(1000)),
        this: entry.device == home.device(),
    }
}

pub(crate) fn id(text: &str) -> Result<DeviceId, Fault> {
    text.parse().map_err(|_| Fault::bad_id(text))
}

pub(crate) fn ids(texts: &[String]) -> Result<Vec<DeviceId>, Fault> {
    let mut ids = texts.iter().map(|text| id(text)).collect::<Result<Vec<_>, _>>()?;
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

pub(crate) fn rights(rights: &[Right]) -> Rights {
    let listed: Vec<ListRight> =
        RIGHTS.into_iter().filter(|(_, ours)| rights.contains(ours)).map(|(right, _)| right).collect();
    Rights::of(&listed)
}

/// In seconds since the Unix epoch.
pub(crate) fn in_days(days: u32) -> u64 {
    unix_seconds().saturating_add(u64::from(days) * 24 * 3600)
}

pub(crate) fn terms(asked: &Terms) -> Result<enrol::Terms, Fault> {
    let mut terms = enrol::Terms::unlimited(asked.role.into(), &asked.name);
    if let Some(asked) = &asked.rights {
        terms.rights = rights(asked);
    }
    terms.cameras = asked.cameras.as_deref().map(ids).transpose()?;
    terms.not_after = asked.days.map(in_days);
    Ok(terms)
}

impl From<ListRole> for Role {
    fn from(role: ListRole) -> Self {
        match role {
            ListRole::Camera => Self::Camera,
            ListRole::Admin => Self::Admin,
            ListRole::Viewer => Self::Viewer,
            ListRole::Guest => Self::Guest,
        }
    }
}

impl From<Role> for ListRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Camera => Self::Camera,
            Role::Admin => Self::Admin,
            Role::Viewer => Self::Viewer,
            Role::Guest => Self::Guest,
        }
    }
}

impl From<enrol::Kind> for Kind {
    fn from(kind: enrol::Kind) -> Self {
        match kind {
            enrol::Kind::Camera => Self::Camera,
            enrol::Kind::Viewer => Self::Viewer,
        }
    }
}

impl From<Kind> for enrol::Kind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Camera => Self::Camera,
            Kind::Viewer => Self::Viewer,
        }
    }
}

/// The same steps in both words.
const STEPS: [(story::Step, Step); 7] = [
    (story::Step::Signalling, Step::Signalling),
    (story::Step::Relay, Step::Relay),
    (story::Step::Ice, Step::Ice),
    (story::Step::Dtls, Step::Dtls),
    (story::Step::FirstPacket, Step::FirstPacket),
    (story::Step::KeyKnown, Step::KeyKnown),
    (story::Step::FirstFrame, Step::FirstFrame),
];

impl From<story::Step> for Step {
    fn from(step: story::Step) -> Self {
        STEPS.into_iter().find(|(theirs, _)| *theirs == step).map_or(Self::Signalling, |(_, ours)| ours)
    }
}

impl From<Step> for story::Step {
    fn from(step: Step) -> Self {
        STEPS.into_iter().find(|(_, ours)| *ours == step).map_or(Self::Signalling, |(theirs, _)| theirs)
    }
}

const RIGHTS: [(ListRight, Right); 3] =
    [(ListRight::See, Right::See), (ListRight::Talk, Right::Talk), (ListRight::History, Right::History)];
