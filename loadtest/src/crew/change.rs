//! Changes of a household: the admin's next list, the commits of its cameras, and the members that follow.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use latchkey_api::device_list::{DeviceList, ListChain, Reason, Role, Signer};
use latchkey_api::session::SessionScope;

use crate::crew::commit::Round;
use crate::crew::device::Device;
use crate::crew::error::CrewFault;
use crate::crew::founding::{not_made, unix_seconds};
use crate::crew::household::Viewer;
use crate::crew::join::{join_groups, publish};
use crate::crew::patience::Limited;
use crate::crew::{Added, CrewError, CrewNews, Inner, MemberRef, Removal};

/// Removes a member.
pub(in crate::crew) async fn remove(crew: &Inner, member: MemberRef) -> Result<Removal, CrewError> {
    let household = crew.households.get(member.household as usize).ok_or(CrewError::NoSuchSeat)?;
    let viewer = household.member(member.member)?;
    let _alone = household.changing.lock().await;
    if viewer.is_removed() {
        return Err(CrewError::NoSuchSeat);
    }
    let round = Round { household, patience: &crew.patience, news: Some(crew) };
    round.listen().await;
    let began = Instant::now();
    let without = |list: DeviceList| list.without(viewer.device.id()).map_err(not_made);
    let told = round.sign(Reason::Removed, without).await?;
    viewer.mark_removed();
    crew.tell(CrewNews::Removed { member });
    let cameras = (0..household.cameras.len()).map(|camera| round.change(camera, began, Some(&viewer)));
    let mut removal = Removal { member, took: Vec::new(), followed: Duration::ZERO, faults: told };
    for (camera, changed) in try_join_all(cameras).await?.into_iter().enumerate() {
        removal.took.push((round.camera(camera), changed.took));
        removal.followed = removal.followed.max(changed.followed);
        removal.faults.extend(changed.faults);
    }
    removal.faults.extend(round.still_there(&viewer, member).await);
    Ok(removal)
}

/// Enrols another member.
pub(in crate::crew) async fn add(crew: &Inner, number: u32) -> Result<Added, CrewError> {
    let household = crew.households.get(number as usize).ok_or(CrewError::NoSuchSeat)?;
    let _alone = household.changing.lock().await;
    let round = Round { household, patience: &crew.patience, news: Some(crew) };
    let id = household.chain().household();
    let device = Device::new(household.admin.signaling.server(), id)?;
    round.listen().await;
    let began = Instant::now();
    let name = "Viewer that came later";
    let entry = device.entry((id, &household.labels), Role::Viewer, name, unix_seconds())?;
    let with = |list: DeviceList| list.with(entry).map_err(|error| CrewError::BadPlan(error.to_string()));
    let mut faults = round.sign(Reason::Added, with).await?;
    let viewer = Arc::new(Viewer::new(household.next_number(), device, household.cameras.len()));
    publish(household, &viewer, round.patience).await?;
    let cameras = (0..household.cameras.len()).map(|camera| round.change(camera, began, None));
    let changed = try_join_all(cameras).await?;
    join_groups(household, &viewer, round.patience).await?;
    let member = MemberRef { household: number, member: viewer.number };
    household.take_in(viewer);
    faults.extend(changed.into_iter().flat_map(|changed| changed.faults));
    Ok(Added { member, took: began.elapsed(), faults })
}

/// What came of a change at one camera.
struct Changed {
    took: Duration,
    followed: Duration,
    faults: Vec<CrewFault>,
}

impl Round<'_> {
    /// Sees to it that the cameras hear of the next list.
    async fn listen(&self) {
        if let Some(camera) = self.household.cameras.first() {
            self.household.hints.listen(&camera.device).await;
        }
    }

    /// The admin signs and posts the next list; when the server tells the cameras of it, they read it there. Returns the
    /// server's fault, if any.
    async fn sign(
        &self,
        reason: Reason,
        change: impl FnOnce(DeviceList) -> Result<DeviceList, CrewError>,
    ) -> Result<Vec<CrewFault>, CrewError> {
        let mut chain = ListChain::clone(&self.household.chain());
        let admin = &self.household.admin;
        let head = chain.head().ok_or(CrewError::NoSuchSeat)?;
        let known = head.list().version;
        let list = change(DeviceList::after(head, Signer::Device(admin.id()), unix_seconds(), reason))?;
        let list = admin.identity.sign_list(list).as_bytes().to_vec();
        let post = || admin.signaling.post_list(list.clone());
        let (version, _) = self.patience.ask(Limited::Request, "post a list", post).await?;
        let told = self.household.hints.list(version).await;
        let reader = self.household.cameras.first().map_or(admin, |camera| &camera.device);
        let read = || reader.signaling.lists_after(known);
        let (lists, _) = self.patience.ask(Limited::Request, "read lists", read).await?;
        for list in lists {
            chain.accept(&list, None).map_err(not_made)?;
        }
        if chain.head().is_none_or(|head| head.list().version < version) {
            return Err(CrewError::NoList { version });
        }
        self.household.set_chain(chain);
        Ok(if told { Vec::new() } else { vec![CrewFault::NotTold { household: self.household.number }] })
    }

    /// Makes a camera's group equal to the list, and takes along those that stay; `gone` hears of it, too.
    async fn change(
        &self,
        camera: usize,
        began: Instant,
        gone: Option<&Arc<Viewer>>,
    ) -> Result<Changed, CrewError> {
        self.commit(camera).await?;
        let took = began.elapsed();
        let faults = self.follow(camera, gone).await?;
        Ok(Changed { took, followed: began.elapsed(), faults })
    }

    /// What a removed device still has, and what the server still gives it.
    async fn still_there(&self, viewer: &Viewer, member: MemberRef) -> Vec<CrewFault> {
        let cameras = 0..self.household.cameras.len();
        let kept = cameras.filter(|camera| !viewer.is_out(*camera));
        let mut faults: Vec<_> =
            kept.map(|camera| CrewFault::KeptKeys { member, camera: self.camera(camera) }).collect();
        if let Some(camera) = self.household.cameras.first() {
            let asked = viewer.device.open_session(self.patience, camera.device.id(), SessionScope::View);
            if asked.await.is_ok() {
                faults.push(CrewFault::StillServed { member });
            }
        }
        faults
    }
}
