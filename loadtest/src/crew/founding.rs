//! Founds the households of a crew, many at a time: list, devices, key packages, groups, Welcomes.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use futures_util::stream::{self, TryStreamExt as _};
use latchkey::signaling::Server;
use latchkey_api::device_list::{DeviceList, ListChain, ListError, MAX_DEVICES, Reason, Role, Signer};
use latchkey_e2ee::group::CameraGroup;
use latchkey_e2ee::identity::HouseholdRoot;
use latchkey_e2ee::label::LabelKey;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::crew::commit::Round;
use crate::crew::device::Device;
use crate::crew::household::{Camera, Household, Viewer};
use crate::crew::join::{join_groups, publish};
use crate::crew::patience::{Limited, Patience};
use crate::crew::{Crew, CrewError, CrewPlan, Inner, Progress};

/// Founds all households of a plan.
pub(in crate::crew) async fn found(
    plan: &CrewPlan,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Crew, CrewError> {
    check(plan)?;
    let server = Server::new(&plan.server_url).map_err(|error| CrewError::of("read the address", error))?;
    let patience = Arc::new(Patience::default());
    let (sender, mut told) = mpsc::unbounded_channel();
    patience.tell(Some(sender));
    let places = Arc::new(Semaphore::new(plan.at_once.max(1)));
    let mut founding = JoinSet::new();
    for number in 0..plan.households {
        let (plan, server) = (plan.clone(), server.clone());
        let (patience, places) = (Arc::clone(&patience), Arc::clone(&places));
        founding.spawn(async move {
            let _place = places.acquire().await;
            household(number, &plan, &server, &patience).await
        });
    }
    let mut households = Vec::with_capacity(plan.households as usize);
    loop {
        tokio::select! {
            Some(waiting) = told.recv() => progress(waiting),
            founded = founding.join_next() => match founded {
                Some(Ok(Ok(founded))) => {
                    households.push(founded);
                    progress(Progress::Founded { done: households.len() as u32, of: plan.households });
                }
                Some(failed) => {
                    founding.shutdown().await;
                    let unfinished = Inner::new(households, patience);
                    // Nobody needs them any more; a server that does not let us leaves them to its operator.
                    let _ = timeout(GOODBYE, disband(&unfinished)).await;
                    return Err(match failed {
                        Ok(failed) => failed.err().unwrap_or(CrewError::NoSuchSeat),
                        Err(error) => CrewError::NotMade(error.to_string()),
                    });
                }
                None => break,
            },
        }
    }
    patience.tell(None);
    households.sort_by_key(|household: &Household| household.number);
    Ok(Crew { inner: Arc::new(Inner::new(households, patience)) })
}

fn check(plan: &CrewPlan) -> Result<(), CrewError> {
    let refuse = |why: String| Err(CrewError::BadPlan(why));
    if plan.households == 0 || plan.cameras_per_household == 0 {
        return refuse("a crew has one household and one camera at the least".to_owned());
    }
    if plan.members_per_household > MAX_MEMBERS {
        return refuse(format!(
            "a household has {MAX_MEMBERS} members at the most, not {}: ask for more households",
            plan.members_per_household
        ));
    }
    let devices = u64::from(plan.cameras_per_household) + u64::from(plan.members_per_household) + 1;
    if devices > MAX_DEVICES as u64 {
        return refuse(format!(
            "the list of a household holds {MAX_DEVICES} devices, and its admin, cameras and members are {devices}: ask for more households"
        ));
    }
    Ok(())
}

async fn household(
    number: u32,
    plan: &CrewPlan,
    server: &Server,
    patience: &Patience,
) -> Result<Household, CrewError> {
    let (root, _) = HouseholdRoot::generate()?;
    let id = root.household();
    let labels = LabelKey::of_root(&root);
    let admin = Device::new(server, id)?;
    let now = unix_seconds();

    let mut chain = ListChain::new(&root.public()).map_err(not_made)?;
    let first = DeviceList::founding(id, admin.entry((id, &labels), Role::Admin, "Admin", now)?, now);
    let first = root.sign_list(first.map_err(not_made)?).as_bytes().to_vec();
    chain.accept(&first, None).map_err(not_made)?;
    let register = || server.create_household(root.public(), first.clone(), plan.invite_code.clone());
    patience.ask(Limited::Register, "register households", register).await?;

    let devices = |count: u32| (0..count).map(|_| Device::new(server, id)).collect::<Result<Vec<_>, _>>();
    let (cameras, members) = (devices(plan.cameras_per_household)?, devices(plan.members_per_household)?);
    let head = chain.head().ok_or(CrewError::NoSuchSeat)?;
    let mut list = DeviceList::after(head, Signer::Device(admin.id()), now, Reason::Added);
    for (role, name, devices) in [(Role::Camera, "Camera", &cameras), (Role::Viewer, "Viewer", &members)] {
        for (place, device) in devices.iter().enumerate() {
            let entry = device.entry((id, &labels), role, &format!("{name} {place}"), now)?;
            list = list.with(entry).map_err(not_made)?;
        }
    }
    let list = admin.identity.sign_list(list).as_bytes().to_vec();
    chain.accept(&list, None).map_err(not_made)?;
    admin.sign_in(patience).await?;
    patience.ask(Limited::Request, "post lists", || admin.signaling.post_list(list.clone())).await?;

    let now = SystemTime::now();
    let cameras: Result<Vec<_>, CrewError> = cameras
        .into_iter()
        .map(|device| {
            let group = CameraGroup::found(&device.identity, &chain, now);
            let group = group.map_err(|source| CrewError::Group { doing: "found its group", source })?;
            Ok(Arc::new(Camera::new(device, group)))
        })
        .collect();
    let household = Household::new(number, &root, admin, chain, cameras?);
    let cameras = household.cameras.len();
    let members: Vec<_> =
        (0..).zip(members).map(|(number, device)| Arc::new(Viewer::new(number, device, cameras))).collect();
    stream::iter(members.iter().map(Ok))
        .try_for_each_concurrent(AT_ONCE, |member| publish(&household, member, patience))
        .await?;
    let round = Round { household: &household, patience, news: None };
    for camera in 0..cameras {
        household.cameras[camera].device.sign_in(patience).await?;
        round.commit(camera).await?;
    }
    stream::iter(members.iter().map(Ok))
        .try_for_each_concurrent(AT_ONCE, |member| join_groups(&household, member, patience))
        .await?;
    members.into_iter().for_each(|member| household.take_in(member));
    Ok(household)
}

/// Deletes all households at the server.
pub(in crate::crew) async fn disband(crew: &Inner) -> Result<(), CrewError> {
    let mut result = Ok(());
    for some in crew.households.chunks(AT_ONCE) {
        let mut deleting = Vec::with_capacity(AT_ONCE);
        for household in some {
            deleting.push(delete(household, &crew.patience));
        }
        let deleted = join_all(deleting).await.into_iter().find_map(Result::err);
        result = result.and(deleted.map_or(Ok(()), Err));
    }
    result
}

async fn delete(household: &Household, patience: &Patience) -> Result<(), CrewError> {
    let admin = &household.admin.signaling;
    patience.ask(Limited::Request, "delete households", || admin.delete_household()).await.map(drop)
}

pub(in crate::crew) fn not_made(error: ListError) -> CrewError {
    CrewError::NotMade(error.to_string())
}

pub(in crate::crew) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Members of a household at the most: a list holds 64 devices, and some are left for those that come while it runs.
const MAX_MEMBERS: u32 = 60;
/// How long the households of a crew that comes to nothing may take to be deleted.
const GOODBYE: Duration = Duration::from_secs(5);
/// Devices of a household that ask the server at the same time.
const AT_ONCE: usize = 8;
