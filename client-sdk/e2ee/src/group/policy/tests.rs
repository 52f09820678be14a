//! The hooks by themselves: they must hold also where an earlier check would already have refused.

#![allow(clippy::unwrap_used)]

use latchkey_api::device_list::{Reason, Signer};
use mls_rs::group::Sender;
use mls_rs::group::proposal::{CustomProposal, Proposal, ProposalType};
use mls_rs::identity::basic::BasicCredential;
use mls_rs::mls_rules::ProposalSource;
use mls_rs::{Client, Group};

use super::super::credential::credential;
use super::super::library::{Mls, client};
use super::super::storage::{PackageShelf, StateShelf};
use super::*;
use crate::identity::{DeviceIdentity, HouseholdRoot};

const NOW: u64 = 1_800_000_000;

struct Scene {
    policy: Policy,
    group: Group<Mls>,
    named: ListRef,
    camera: DeviceIdentity,
    viewer: DeviceIdentity,
    household: HouseholdId,
}

fn scene() -> Scene {
    let (root, _) = HouseholdRoot::generate().unwrap();
    let [admin, camera, viewer] = [0; 3].map(|_| DeviceIdentity::generate().unwrap());
    let mut chain = ListChain::new(&root.public()).unwrap();
    let first = DeviceList::founding(root.household(), admin.public().entry(Role::Admin, NOW, vec![]), NOW);
    chain.accept(root.sign_list(first.unwrap()).as_bytes(), None).unwrap();
    let draft = DeviceList::after(chain.head().unwrap(), Signer::Device(admin.device()), NOW, Reason::Added);
    let draft = draft.with(camera.public().entry(Role::Camera, NOW, vec![])).unwrap();
    let draft = draft.with(viewer.public().entry(Role::Viewer, NOW, vec![])).unwrap();
    chain.accept(admin.sign_list(draft).as_bytes(), None).unwrap();

    let policy = Policy::new(camera.device(), &chain);
    let named = ListRef::naming(chain.head().unwrap(), NOW);
    let identity = Some((&camera, chain.household()));
    let client: Client<Mls> =
        client(policy.clone(), PackageShelf::default(), StateShelf::default(), identity);
    let id = GroupId::new(camera.device(), 0).0.to_vec();
    let group = client.create_group_with_id(id, named.to_extensions(), Default::default(), None).unwrap();
    Scene { policy, group, named, camera, viewer, household: chain.household() }
}

impl Scene {
    fn identity_of(&self, device: &DeviceIdentity) -> SigningIdentity {
        let public = device.public();
        SigningIdentity::new(credential(self.household, public.device), public.mls_public.to_vec().into())
    }

    fn filter(&self, source: CommitSource, proposals: ProposalBundle) -> Result<ProposalBundle, Refusal> {
        let (roster, context) = (self.group.roster(), self.group.context());
        self.policy.filter_proposals(CommitDirection::Receive, source, &roster, context, proposals)
    }

    fn camera_source(&self) -> CommitSource {
        CommitSource::ExistingMember(self.group.member_at_index(0).unwrap())
    }

    /// A good renewal, plus one proposal.
    fn bundle(&self, proposal: Option<(Proposal, Sender, ProposalSource)>) -> ProposalBundle {
        let mut bundle = ProposalBundle::default();
        let renewal = Proposal::GroupContextExtensions(self.named.to_extensions());
        bundle.add(renewal, Sender::Member(0), ProposalSource::ByValue);
        if let Some((proposal, sender, source)) = proposal {
            bundle.add(proposal, sender, source);
        }
        bundle
    }
}

#[test]
fn a_renewal_by_the_camera_is_fine_and_anothers_is_not() {
    let scene = scene();
    assert!(scene.filter(scene.camera_source(), scene.bundle(None)).is_ok());
    let viewer = CommitSource::ExistingMember(mls_rs::group::Member::new(
        1,
        scene.identity_of(&scene.viewer),
        Default::default(),
        Default::default(),
    ));
    // The renewal is by leaf 0, the commit by leaf 1.
    assert_eq!(scene.filter(viewer, scene.bundle(None)).err(), Some(Refusal::ListNotRenewed));
    // The camera's identity at another leaf than 0.
    let elsewhere = CommitSource::ExistingMember(mls_rs::group::Member::new(
        1,
        scene.identity_of(&scene.camera),
        Default::default(),
        Default::default(),
    ));
    let mut bundle = ProposalBundle::default();
    let renewal = Proposal::GroupContextExtensions(scene.named.to_extensions());
    bundle.add(renewal, Sender::Member(1), ProposalSource::ByValue);
    let refused = Some(Refusal::CommitterNotAllowed(scene.camera.device()));
    assert_eq!(scene.filter(elsewhere, bundle).err(), refused);
}

#[test]
fn an_external_commit_is_refused_also_in_the_hook() {
    let scene = scene();
    for device in [&scene.viewer, &DeviceIdentity::generate().unwrap(), &scene.camera] {
        let source = CommitSource::NewMember(scene.identity_of(device));
        assert_eq!(scene.filter(source, scene.bundle(None)).err(), Some(Refusal::ExternalCommit));
    }
}

#[test]
fn an_external_sender_is_never_valid() {
    let scene = scene();
    let identity = scene.identity_of(&scene.viewer);
    let answer = scene.policy.validate_external_sender(&identity, None, None);
    assert_eq!(answer, Err(Refusal::ExternalSender));
}

#[test]
fn custom_proposals_and_second_renewals_are_refused_also_in_the_hook() {
    let scene = scene();
    let custom = Proposal::Custom(CustomProposal::new(ProposalType::new(0xF001), vec![]));
    let bundle = scene.bundle(Some((custom, Sender::Member(0), ProposalSource::ByValue)));
    let refused = scene.filter(scene.camera_source(), bundle).err();
    assert_eq!(refused, Some(Refusal::ForbiddenProposal("custom")));

    let second = Proposal::GroupContextExtensions(scene.named.to_extensions());
    let bundle = scene.bundle(Some((second, Sender::Member(0), ProposalSource::ByValue)));
    assert_eq!(scene.filter(scene.camera_source(), bundle).err(), Some(Refusal::ListNotRenewed));
    let empty = scene.filter(scene.camera_source(), ProposalBundle::default()).err();
    assert_eq!(empty, Some(Refusal::ListNotRenewed));
}

#[test]
fn a_member_outside_a_group_is_not_valid() {
    let scene = scene();
    let identity = scene.identity_of(&scene.viewer);
    let answer = scene.policy.validate_member(&identity, None, MemberValidationContext::None);
    assert_eq!(answer, Err(Refusal::ListNotNamed));
}

#[test]
fn credentials_of_another_form_are_refused() {
    let scene = scene();
    let context = MemberValidationContext::ForNewGroup { current_context: scene.group.context() };
    let key = scene.viewer.public().mls_public;
    for identifier in [vec![], vec![1; 31], vec![1; 33]] {
        let identity =
            SigningIdentity::new(BasicCredential::new(identifier).into_credential(), key.to_vec().into());
        assert_eq!(scene.policy.validate_member(&identity, None, context), Err(Refusal::BadCredential));
        assert_eq!(scene.policy.identity(&identity, &Default::default()), Err(Refusal::BadCredential));
    }
    assert_eq!(scene.policy.validate_member(&scene.identity_of(&scene.viewer), None, context), Ok(()));
}

#[test]
fn a_successor_keeps_credential_and_key() {
    let scene = scene();
    let (camera, viewer) = (scene.identity_of(&scene.camera), scene.identity_of(&scene.viewer));
    assert_eq!(scene.policy.valid_successor(&camera, &camera, &Default::default()), Ok(true));
    assert_eq!(scene.policy.valid_successor(&camera, &viewer, &Default::default()), Ok(false));
    let other_key = SigningIdentity::new(camera.credential.clone(), viewer.signature_key);
    assert_eq!(scene.policy.valid_successor(&camera, &other_key, &Default::default()), Ok(false));
}

#[test]
fn the_camera_is_at_leaf_zero_and_nobody_is_there_twice() {
    let scene = scene();
    let (camera, viewer) = (scene.identity_of(&scene.camera), scene.identity_of(&scene.viewer));
    let check = |leaves: &[(u32, &SigningIdentity)]| {
        scene.policy.check_roster(scene.group.context(), leaves.iter().copied())
    };
    assert_eq!(check(&[(0, &camera), (1, &viewer)]), Ok(()));
    assert_eq!(check(&[(0, &viewer), (1, &camera)]), Err(Refusal::CameraNotAtLeafZero));
    assert_eq!(check(&[(1, &viewer), (2, &camera)]), Err(Refusal::CameraNotAtLeafZero));
    assert_eq!(check(&[(1, &viewer)]), Err(Refusal::CameraNotAtLeafZero));
    assert_eq!(check(&[]), Err(Refusal::CameraNotAtLeafZero));
    let twice = Err(Refusal::DeviceTwice(scene.viewer.device()));
    assert_eq!(check(&[(0, &camera), (1, &viewer), (2, &viewer)]), twice);
    let many: Vec<_> = (0..65).map(|index| (index, &viewer)).collect();
    assert_eq!(check(&many), Err(Refusal::TooManyMembers));
}
