//! A member leaves key packages, and joins the groups of its household by Welcome.

use std::sync::Arc;

use crate::crew::CrewError;
use crate::crew::commit::calculate;
use crate::crew::household::{Household, Viewer};
use crate::crew::patience::{Limited, Patience};

/// Signs a member in and leaves a key package of it for each camera.
pub(in crate::crew) async fn publish(
    household: &Household,
    member: &Viewer,
    patience: &Patience,
) -> Result<(), CrewError> {
    member.device.sign_in(patience).await?;
    let packages = member.make_packages(&household.chain());
    let packages = packages.map_err(|source| CrewError::Group { doing: "make key packages", source })?;
    let publish = || member.device.signaling.publish_key_packages(packages.clone(), None);
    patience.ask(Limited::Request, "leave key packages", publish).await.map(drop)
}

/// Reads a member's Welcomes and joins the group of every camera.
pub(in crate::crew) async fn join_groups(
    household: &Household,
    member: &Arc<Viewer>,
    patience: &Patience,
) -> Result<(), CrewError> {
    let signaling = &member.device.signaling;
    let (welcomes, _) = patience.ask(Limited::Request, "read Welcomes", || signaling.welcomes()).await?;
    for (camera, of) in household.cameras.iter().enumerate() {
        let group = of.group_id();
        let welcome = welcomes.iter().find(|welcome| welcome.group == group).ok_or(CrewError::NoWelcome)?;
        let (id, seq) = (welcome.id, welcome.seq);
        let bytes = welcome.welcome.as_slice().to_vec();
        let (member, of, lists) = (Arc::clone(member), Arc::clone(of), household.chain());
        let joined = calculate(move || member.join(camera, &of, &lists, (&bytes, seq))).await;
        joined.map_err(|source| CrewError::Group { doing: "join by its Welcome", source })?;
        let done = || signaling.acknowledge_welcome(id);
        patience.ask(Limited::Request, "say that Welcomes were used", done).await?;
    }
    Ok(())
}
