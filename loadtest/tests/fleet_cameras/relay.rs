//! A relay in this process, whose grants are cut here, and a household of one camera.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use latchkey_api::device_list::{DeviceList, ListChain, Reason, Role, Signer};
use latchkey_e2ee::group::CameraGroup;
use latchkey_e2ee::identity::{DeviceIdentity, HouseholdRoot};
use latchkey_e2ee::key_schedule::EpochKeys;
use latchkey_loadtest::door::Door;
use latchkey_loadtest::fleet::peer::{Offer, Peer, PeerOptions, Way};
use latchkey_relay::{GrantKey, Relay, RelayConfig};
use latchkey_wire::codec::Codec;
use latchkey_wire::grant::{Grant, GrantSigner, Scope};
use latchkey_wire::id::{DeviceHandle, RoomId};
use url::Url;

pub(crate) struct House {
    pub(crate) relay: Relay,
    signer: GrantSigner,
    pub(crate) door: Door,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut RelayConfig)) -> Self {
        let signer = GrantSigner::from_seed("signer-1", &[42; 32]).unwrap();
        let mut config = RelayConfig::loopback();
        config.shards = 1;
        config.grant_keys.push(GrantKey { kid: "signer-1".to_owned(), public: signer.public_key() });
        change(&mut config);
        Self { relay: Relay::start(config).await.unwrap(), signer, door: Door::new().unwrap() }
    }

    pub(crate) fn url(&self, way: Way, room: RoomId) -> Url {
        let door = if way == Way::Publish { "whip" } else { "whep" };
        format!("http://{}/{door}/{room}", self.relay.door_addr().unwrap()).parse().unwrap()
    }

    pub(crate) fn grant(&self, way: Way, room: RoomId, change: impl FnOnce(&mut Grant)) -> String {
        let now = SystemTime::now();
        let (mut device, mut token_id) = ([0; 16], [0; 16]);
        getrandom::fill(&mut device).unwrap();
        getrandom::fill(&mut token_id).unwrap();
        let mut grant = Grant {
            audience: RelayConfig::loopback().audience,
            room,
            scopes: vec![if way == Way::Publish { Scope::Publish } else { Scope::View }],
            device: DeviceHandle::from(device),
            token_id,
            issued_at: now,
            expires_at: now + Duration::from_secs(60),
            session_expires_at: now + Duration::from_secs(3600),
        };
        change(&mut grant);
        self.signer.sign(&grant).unwrap()
    }

    /// A client whose answer was accepted.
    pub(crate) async fn join(&self, way: Way, room: RoomId, codec: Codec) -> Peer {
        let options = PeerOptions { codec, send_offload: false, ..PeerOptions::default() };
        let (mut peer, offer): (Peer, Offer) = Peer::offer(way, &options).unwrap();
        let grant = self.grant(way, room, |_| {});
        let answer = self.door.post(&self.url(way, room), Some(&grant), offer.sdp.clone()).await.unwrap();
        peer.accept(offer, &answer.sdp).unwrap();
        peer
    }
}

/// The MLS group of one camera.
pub(crate) struct Household {
    pub(crate) group: CameraGroup,
    lists: ListChain,
}

impl Household {
    pub(crate) fn new() -> Self {
        let now = SystemTime::now();
        let seconds = now.duration_since(UNIX_EPOCH).unwrap().as_secs();
        let (root, _) = HouseholdRoot::generate().unwrap();
        let (phone, camera) = (DeviceIdentity::generate().unwrap(), DeviceIdentity::generate().unwrap());
        let mut lists = ListChain::new(&root.public()).unwrap();
        let admin = phone.public().entry(Role::Admin, seconds, Vec::new());
        let first = DeviceList::founding(root.household(), admin, seconds).unwrap();
        lists.accept(root.sign_list(first).as_bytes(), Some(now)).unwrap();
        let head = lists.head().unwrap();
        let second = DeviceList::after(head, Signer::Device(phone.device()), seconds, Reason::Added)
            .with(camera.public().entry(Role::Camera, seconds, Vec::new()))
            .unwrap();
        lists.accept(phone.sign_list(second).as_bytes(), Some(now)).unwrap();
        let group = CameraGroup::found(&camera, &lists, now).unwrap();
        Self { group, lists }
    }

    /// Commits, and returns the keys of the next epoch twice: for the camera, and for who looks.
    pub(crate) fn next_epoch(&mut self) -> (EpochKeys, EpochKeys) {
        self.group.renew(&self.lists, SystemTime::now()).unwrap();
        self.group.confirm().unwrap();
        (self.group.frame_keys().unwrap(), self.group.frame_keys().unwrap())
    }
}
