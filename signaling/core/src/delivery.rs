//! MLS delivery: one commit ends each epoch of a group; everybody reads the same order.

use std::time::SystemTime;

use latchkey_api::audit::AuditKind;
use latchkey_api::device_list::{DeviceList, Role};
use latchkey_api::encoding::ByteString;
use latchkey_api::event::Event;
use latchkey_api::group::{
    GroupMessage, GroupMessages, MAX_APPLICATION_BYTES, MessageAccepted, MessageKind, PendingWelcome,
    PostCommit, WelcomeFor, Welcomes,
};
use latchkey_api::id::{DeviceId, GroupId, HouseholdId};

use crate::access::follows;
use crate::audit::AuditEntry;
use crate::clock::unix_millis;
use crate::directory::Considered;
use crate::framing::{FramingError, check_welcome, read_header};
use crate::households::{ListRefused, new_list};
use crate::notice::{Done, Notice};
use crate::signaling::{Caller, Signaling};
use crate::store::{CommitOutcome, MessageOutcome, MessagePage, NewCommit, NewMessage, Store, StoreError};

/// Longest MLS message in bytes.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;
/// How many messages one page holds.
pub const MESSAGES_PER_PAGE: u32 = 256;

impl<S: Store> Signaling<S> {
    /// Takes in the commit that ends an epoch, from the group's camera; or from an admin, who adds nobody.
    /// A list in the request is taken in with it, or neither is.
    ///
    /// # Errors
    /// [`CommitRefused`].
    pub async fn post_commit(
        &self,
        caller: &Caller,
        group: GroupId,
        request: PostCommit,
        now: SystemTime,
    ) -> Result<Done<MessageAccepted>, CommitRefused> {
        check_commit(&request, group)?;
        let household = caller.household_id();
        let next = match &request.list {
            None => None,
            Some(list) => match self.consider_list(household, list.as_slice(), now).await? {
                Considered::Known(_) => None,
                Considered::Next(next) => Some(*next),
            },
        };
        let list = next.as_ref().map_or(caller.list(), |next| next.household.list());
        check_generation(list, group)?;
        check_committer(caller, group, &request.welcomes)?;
        check_welcomes(list, group, &request.welcomes)?;
        let epoch = request.epoch;
        let welcomes: Vec<_> =
            request.welcomes.into_iter().map(|to| (to.device, to.welcome.into_vec())).collect();
        let new = NewCommit {
            household,
            group,
            epoch,
            commit: request.commit.as_slice(),
            welcomes: &welcomes,
            list: next
                .as_ref()
                .zip(request.list.as_ref())
                .map(|(next, bytes)| new_list(next, bytes.as_slice(), now)),
            audit: AuditEntry {
                kind: AuditKind::CommitAccepted,
                actor: Some(caller.device()),
                subject: Some(group.camera()),
                detail: epoch,
                at_ms: unix_millis(now),
            },
        };
        let seq = match self.store.append_commit(new).await? {
            CommitOutcome::Accepted(seq) => seq,
            CommitOutcome::EpochTaken => return Err(CommitRefused::EpochTaken),
            CommitOutcome::EpochAhead => return Err(CommitRefused::EpochAhead),
            CommitOutcome::ListVersionTaken => return Err(ListRefused::VersionTaken.into()),
        };
        let mut notices = announcements(list, caller.device(), group, seq);
        notices.extend(
            welcomes
                .iter()
                .map(|(device, _)| Notice::Tell { device: *device, event: Event::Welcome { group } }),
        );
        if let Some(next) = next {
            notices.splice(..0, self.adopt(next));
        }
        Ok(Done { reply: MessageAccepted { seq }, household, notices })
    }

    /// Takes in a proposal or an application message from a device of the group.
    ///
    /// # Errors
    /// [`MessageRefused`].
    pub async fn post_message(
        &self,
        caller: &Caller,
        group: GroupId,
        message: &[u8],
        now: SystemTime,
    ) -> Result<Done<MessageAccepted>, MessageRefused> {
        if message.len() > MAX_MESSAGE_BYTES {
            return Err(MessageRefused::TooLarge);
        }
        let header = read_header(message)?;
        if header.kind == MessageKind::Commit {
            return Err(FramingError::WrongKind.into());
        }
        if header.kind == MessageKind::Application && message.len() > MAX_APPLICATION_BYTES {
            return Err(MessageRefused::NoteTooLarge);
        }
        // RFC 9420 section 6: application data is always encrypted.
        if header.kind == MessageKind::Application && !header.private {
            return Err(FramingError::Malformed.into());
        }
        if header.group != group {
            return Err(MessageRefused::OtherGroup);
        }
        if header.epoch > MAX_EPOCH {
            return Err(MessageRefused::NotCurrent);
        }
        let list = caller.list();
        if !follows(list, caller.device(), group.camera()) {
            return Err(MessageRefused::UnknownGroup);
        }
        check_generation(list, group).map_err(|_| MessageRefused::UnknownGroup)?;
        let household = caller.household_id();
        let new = NewMessage {
            household,
            group,
            kind: header.kind,
            epoch: header.epoch,
            message,
            at_ms: unix_millis(now),
        };
        let seq = match self.store.append_message(new).await? {
            MessageOutcome::Accepted(seq) => seq,
            MessageOutcome::NoSuchGroup => return Err(MessageRefused::UnknownGroup),
            MessageOutcome::NotCurrent => return Err(MessageRefused::NotCurrent),
        };
        let notices = announcements(list, caller.device(), group, seq);
        Ok(Done { reply: MessageAccepted { seq }, household, notices })
    }

    /// What came after `after` in a group of a camera that the caller may use.
    ///
    /// # Errors
    /// [`ReadRefused`].
    pub async fn messages(
        &self,
        caller: &Caller,
        group: GroupId,
        after: u64,
    ) -> Result<GroupMessages, ReadRefused> {
        if !follows(caller.list(), caller.device(), group.camera()) {
            return Err(ReadRefused::UnknownGroup);
        }
        Ok(self.messages_page(caller.household_id(), group, after).await?)
    }

    pub(crate) async fn messages_page(
        &self,
        household: HouseholdId,
        group: GroupId,
        after: u64,
    ) -> Result<GroupMessages, StoreError> {
        let page =
            MessagePage { household, group, after, limit: MESSAGES_PER_PAGE, max_bytes: BYTES_PER_PAGE };
        let found = self.store.messages_after(page).await?;
        let bytes: usize = found.iter().map(|message| message.message.len()).sum();
        let more = found.len() >= MESSAGES_PER_PAGE as usize || bytes >= BYTES_PER_PAGE;
        let messages = found
            .into_iter()
            .map(|stored| GroupMessage {
                seq: stored.seq,
                kind: stored.kind,
                epoch: stored.epoch,
                message: ByteString(stored.message),
            })
            .collect();
        Ok(GroupMessages { messages, more })
    }

    /// The welcomes that wait for the caller, but those into groups that the present list closes to it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn welcomes(&self, caller: &Caller) -> Result<Welcomes, StoreError> {
        let mut waiting = self.welcomes_of(caller.household_id(), caller.device()).await?;
        waiting.welcomes.retain(|welcome| {
            let camera = welcome.group.camera();
            follows(caller.list(), caller.device(), camera)
                && caller.list().generation(camera) == Some(welcome.group.generation())
        });
        Ok(waiting)
    }

    pub(crate) async fn welcomes_of(
        &self,
        household: HouseholdId,
        device: DeviceId,
    ) -> Result<Welcomes, StoreError> {
        let found = self.store.welcomes(household, device).await?;
        let welcomes = found
            .into_iter()
            .map(|stored| PendingWelcome {
                id: stored.id,
                group: stored.group,
                seq: stored.seq,
                welcome: ByteString(stored.welcome),
            })
            .collect();
        Ok(Welcomes { welcomes })
    }

    /// Removes a welcome that the caller has taken. Returns false when there is no such.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn acknowledge_welcome(&self, caller: &Caller, id: u64) -> Result<bool, StoreError> {
        self.store.remove_welcome(caller.household_id(), caller.device(), id).await
    }
}

fn check_commit(request: &PostCommit, group: GroupId) -> Result<(), CommitRefused> {
    let welcomes = request.welcomes.iter().map(|to| to.welcome.as_slice());
    if welcomes.chain([request.commit.as_slice()]).any(|message| message.len() > MAX_MESSAGE_BYTES) {
        return Err(CommitRefused::TooLarge);
    }
    let header = read_header(request.commit.as_slice())?;
    if header.kind != MessageKind::Commit || header.private {
        return Err(FramingError::WrongKind.into());
    }
    if header.group != group {
        return Err(CommitRefused::OtherGroup);
    }
    if header.epoch != request.epoch {
        return Err(CommitRefused::OtherEpoch);
    }
    if header.epoch > MAX_EPOCH {
        return Err(CommitRefused::EpochAhead);
    }
    Ok(())
}

/// A list names one generation of each camera's group; all others are closed.
fn check_generation(list: &DeviceList, group: GroupId) -> Result<(), CommitRefused> {
    match list.generation(group.camera()) {
        None => Err(CommitRefused::UnknownGroup),
        Some(generation) if generation == group.generation() => Ok(()),
        Some(_) => Err(CommitRefused::OtherGeneration),
    }
}

fn check_committer(caller: &Caller, group: GroupId, welcomes: &[WelcomeFor]) -> Result<(), CommitRefused> {
    let is_camera = caller.device() == group.camera();
    let is_member = follows(caller.list(), caller.device(), group.camera());
    let removes_only = caller.entry().role == Role::Admin && is_member && welcomes.is_empty();
    if is_camera || removes_only { Ok(()) } else { Err(CommitRefused::NotTheCommitter) }
}

fn check_welcomes(list: &DeviceList, group: GroupId, welcomes: &[WelcomeFor]) -> Result<(), CommitRefused> {
    for (at, to) in welcomes.iter().enumerate() {
        check_welcome(to.welcome.as_slice())?;
        let twice = welcomes[..at].iter().any(|earlier| earlier.device == to.device);
        if twice || to.device == group.camera() || !follows(list, to.device, group.camera()) {
            return Err(CommitRefused::WelcomeForNobody);
        }
    }
    Ok(())
}

fn announcements(list: &DeviceList, from: DeviceId, group: GroupId, seq: u64) -> Vec<Notice> {
    list.devices
        .iter()
        .map(|entry| entry.device)
        .filter(|device| *device != from && follows(list, *device, group.camera()))
        .map(|device| Notice::Tell { device, event: Event::Message { group, seq } })
        .collect()
}

/// Why a commit was not taken in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitRefused {
    /// The caller's: not a commit, or welcome, as RFC 9420 frames them.
    #[error(transparent)]
    Framing(#[from] FramingError),
    /// The caller's: a message is above [`MAX_MESSAGE_BYTES`].
    #[error("an MLS message may have at most {MAX_MESSAGE_BYTES} bytes")]
    TooLarge,
    /// The caller's: the commit names another group than the route.
    #[error("the commit is for another group than the route names")]
    OtherGroup,
    /// The caller's: the commit names another epoch than the request.
    #[error("the commit is for another epoch than the request names")]
    OtherEpoch,
    /// The caller's: the list names another generation of this camera's group.
    #[error("the device list names another generation of this camera's group: read the lists")]
    OtherGeneration,
    /// The caller's: the list has no such camera.
    #[error("the device list has no such camera")]
    UnknownGroup,
    /// The caller's: neither the camera, nor an admin who adds nobody.
    #[error("only the group's camera commits, or an admin to remove a device")]
    NotTheCommitter,
    /// The caller's: a welcome for a device that may not use the camera, or two for one.
    #[error("a welcome is for a device that may not use this camera, or there are two for one device")]
    WelcomeForNobody,
    /// Nobody's: another commit was first.
    #[error("another commit ended this epoch: read the group's messages and start over")]
    EpochTaken,
    /// The caller's: the group is not there yet.
    #[error("the group has not reached this epoch: an earlier commit is missing")]
    EpochAhead,
    /// The list that came with it was refused.
    #[error(transparent)]
    List(#[from] ListRefused),
    /// Ours.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a message was not taken in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageRefused {
    /// The caller's: not a proposal or application message.
    #[error(transparent)]
    Framing(#[from] FramingError),
    /// The caller's: above [`MAX_MESSAGE_BYTES`].
    #[error("an MLS message may have at most {MAX_MESSAGE_BYTES} bytes")]
    TooLarge,
    /// The caller's: an application message above [`MAX_APPLICATION_BYTES`].
    #[error("an application message may have at most {MAX_APPLICATION_BYTES} bytes")]
    NoteTooLarge,
    /// The caller's: it names another group than the route.
    #[error("the message is for another group than the route names")]
    OtherGroup,
    /// The caller's: no such group for this device.
    #[error("there is no such group for this device")]
    UnknownGroup,
    /// Nobody's: a commit came first.
    #[error("the proposal is not for the present epoch: read the group's messages and propose again")]
    NotCurrent,
    /// Ours.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why messages were not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadRefused {
    /// The caller's: no such group for this device.
    #[error("there is no such group for this device")]
    UnknownGroup,
    /// Ours.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// No group gets here by one commit at a time, and every database can count so far.
const MAX_EPOCH: u64 = u32::MAX as u64;
const BYTES_PER_PAGE: usize = 1024 * 1024;
