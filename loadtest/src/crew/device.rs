//! One device of a household: its keys, and the server as it sees it.

use std::sync::Arc;

use latchkey::signaling::{Server, Signaling};
use latchkey_api::device_list::{DeviceEntry, Role};
use latchkey_api::id::{DeviceId, HouseholdId};
use latchkey_api::session::SessionScope;
use latchkey_e2ee::identity::DeviceIdentity;
use latchkey_e2ee::label::{LabelKey, seal_label};
use url::Url;
use zeroize::Zeroizing;

use crate::crew::patience::{Limited, Patience};
use crate::crew::{CrewError, Granted};

/// A device. Clones are the same one.
#[derive(Clone)]
pub(in crate::crew) struct Device {
    pub(in crate::crew) identity: Arc<DeviceIdentity>,
    pub(in crate::crew) signaling: Signaling,
}

impl Device {
    /// Draws its keys.
    pub(in crate::crew) fn new(server: &Server, household: HouseholdId) -> Result<Self, CrewError> {
        let identity = Arc::new(DeviceIdentity::generate()?);
        let signaling = Signaling::new(server.clone(), household, identity.device(), Arc::clone(&identity));
        Ok(Self { identity, signaling })
    }

    pub(in crate::crew) fn id(&self) -> DeviceId {
        self.identity.device()
    }

    /// Its entry of a list, with its name sealed.
    pub(in crate::crew) fn entry(
        &self,
        (household, key): (HouseholdId, &LabelKey),
        role: Role,
        name: &str,
        now: u64,
    ) -> Result<DeviceEntry, CrewError> {
        let label = seal_label(key, household, self.id(), name);
        let label = label.map_err(|error| CrewError::NotMade(error.to_string()))?;
        Ok(self.identity.public().entry(role, now, label))
    }

    pub(in crate::crew) async fn sign_in(&self, patience: &Patience) -> Result<(), CrewError> {
        let signed_in = patience.ask(Limited::Request, "sign devices in", || self.signaling.sign_in()).await;
        signed_in.map(drop)
    }

    /// Asks for a grant into a camera's room.
    pub(in crate::crew) async fn open_session(
        &self,
        patience: &Patience,
        camera: DeviceId,
        scope: SessionScope,
    ) -> Result<Granted, CrewError> {
        let ask = || self.signaling.open_session(camera, scope);
        let (opened, waited) = patience.ask(Limited::Request, "ask for a grant", ask).await?;
        let address = match scope {
            SessionScope::Publish => opened.relay.whip_url,
            SessionScope::View => opened.relay.whep_url,
        };
        let url = address.and_then(|address| Url::parse(&address).ok()).ok_or(CrewError::NoDoor)?;
        Ok(Granted { url, bearer: Zeroizing::new(opened.grant), waited })
    }
}
