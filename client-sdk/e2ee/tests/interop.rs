//! Another implementation, `ts-mls` and WebCrypto in Node, is a member of our groups and opens our frames; ours does
//! so with its own. What only one library understands would be no MLS and no SFrame.
//!
//! Needs `node` (20.19 or later) and `npm` on PATH; without them the tests say so and do nothing.

#![allow(clippy::unwrap_used)]

mod household;
mod node;

use std::time::Duration;

use household::{Device, Household, NOW, at};
use latchkey_api::device_list::{Reason, Role};
use latchkey_api::id::GroupId;
use latchkey_e2ee::group::{CameraGroup, ClaimedPackage, Member, PendingCommit, Processed};
use latchkey_e2ee::identity::{DeviceIdentity, DevicePublic};
use latchkey_e2ee::inner::InnerHeader;
use latchkey_e2ee::key_schedule::EpochKeys;
use latchkey_e2ee::kid::{AUDIO, Kid, SenderSession, VIDEO};
use latchkey_e2ee::note::Note;
use latchkey_e2ee::open::{FrameOpener, OpenError};
use latchkey_e2ee::seal::FrameSealer;
use latchkey_wire::codec::Codec;
use node::Node;
use serde_json::{Value, json};

const HEADER: InnerHeader =
    InnerHeader { captured_ms: 1_800_000_000_123, key_frame: true, codec: Codec::H264 };
const ENVELOPE: &[u8] = b"the clear bytes in front of the frame";

/// Lists a device whose keys Node has and whose id and enrolment key are drawn here.
fn enrol(home: &mut Household, node: &mut Node, role: Role) -> DevicePublic {
    let drawn = DeviceIdentity::generate().unwrap().public();
    let names = json!({"household": hex::encode(home.id().0), "device": hex::encode(drawn.device.0)});
    let mls_public = node.bytes("identity", names, "public").try_into().unwrap();
    let device = DevicePublic { mls_public, ..drawn };
    let draft = home.draft(Reason::Added).with(device.entry(role, NOW, Vec::new())).unwrap();
    home.sign(draft);
    device
}

/// The data of the extension 0xF0C1 that names the newest list.
fn named(home: &Household) -> String {
    let list = home.chain.head().unwrap().version();
    hex::encode([&list.version.to_be_bytes()[..], &list.hash.0, &NOW.to_be_bytes()].concat())
}

/// The camera makes its one commit, with `packages` taken in.
fn sync(group: &mut CameraGroup, home: &Household, packages: &[ClaimedPackage]) -> PendingCommit {
    let synced = group.sync(&home.chain, packages, at(NOW)).unwrap();
    assert_eq!(synced.refused, []);
    group.confirm().unwrap();
    synced.commit.unwrap()
}

fn assert_same_key(keys: &EpochKeys, node: &mut Node) {
    let key = node.bytes("base_key", json!({}), "key");
    assert_eq!(key.len(), 16);
    assert!(keys.stands_in(&key), "both sides derive the same base key in epoch {}", keys.epoch());
}

fn process(node: &mut Node, message: &[u8]) -> Value {
    node.ask("process", json!({"message": hex::encode(message)}))
}

/// Node opens what the camera seals: the same header, key id, counter, inner header and frame; and nothing when a byte
/// of the envelope is another.
fn assert_node_opens(sealer: &mut FrameSealer, node: &mut Node, len: usize) {
    for (track, number) in [(VIDEO, 0_u8), (AUDIO, 1), (VIDEO, 2)] {
        let frame = vec![number; len];
        let mut sframe = Vec::new();
        let sealed = sealer.seal(track, HEADER, ENVELOPE, &frame, &mut sframe).unwrap();
        let request =
            |envelope: &[u8]| json!({"sframe": hex::encode(&sframe), "envelope": hex::encode(envelope)});
        let opened = node.ask("open", request(ENVELOPE));
        assert_eq!(opened["kid"], sealed.kid.value().to_string());
        assert_eq!(opened["ctr"], sealed.ctr.to_string());
        let plain = hex::decode(opened["plain"].as_str().unwrap()).unwrap();
        assert_eq!(plain, [&HEADER.to_bytes()[..], &frame].concat());
        assert!(node.try_ask("open", request(b"another envelope")).is_err());
    }
}

/// A member of ours opens what Node seals with its own SFrame under a key id of leaf 0.
fn assert_opens_nodes(keys: EpochKeys, node: &mut Node) {
    let epoch = keys.epoch();
    let mut opener = FrameOpener::new();
    opener.add_epoch(keys, Duration::ZERO);
    // The second session needs all 56 bits of the key id.
    for session in [1, 0xFEDC_BA98] {
        for ctr in [0, 7, 8, 255, 256, 70_000] {
            let kid = Kid::new(SenderSession(session), VIDEO, 0, epoch);
            let plain = [&HEADER.to_bytes()[..], b"a picture by Node"].concat();
            let request = json!({
                "kid": kid.value().to_string(), "ctr": ctr.to_string(),
                "plain": hex::encode(&plain), "envelope": hex::encode(ENVELOPE),
            });
            let sframe = node.bytes("seal", request, "sframe");
            let mut out = Vec::new();
            let spoilt = opener.open(&sframe, b"another envelope", &mut out);
            assert_eq!(spoilt.err(), Some(OpenError::AuthenticationFailed));
            let opened = opener.open(&sframe, ENVELOPE, &mut out).unwrap();
            assert_eq!((opened.kid, opened.ctr, opened.header), (kid, ctr, HEADER));
            assert_eq!(out, b"a picture by Node");
        }
    }
}

#[test]
fn a_node_member_follows_our_camera_and_opens_its_frames() {
    let Some(mut node) = Node::start() else { return };
    let mut home = Household::found();
    let camera = home.enrol(Role::Camera);
    let witness = enrol(&mut home, &mut node, Role::Viewer);
    let mut first = Device::new(home.enrol(Role::Viewer));
    let mut second = Device::new(home.enrol(Role::Admin));

    // It joins together with a member of ours, by a Welcome of the camera.
    let mut group = CameraGroup::found(&camera, &home.chain, at(NOW)).unwrap();
    let key_package = node.bytes("key_package", json!({}), "key_package");
    let packages = [first.package(&home.chain), ClaimedPackage { device: witness.device, key_package }];
    let commit = sync(&mut group, &home, &packages);
    let mut member = first.join(&home.chain, camera.device(), &commit);
    let welcome = commit.welcomes.iter().find(|welcome| welcome.device == witness.device).unwrap();
    let joined = node.ask("join", json!({"welcome": hex::encode(&welcome.welcome)}));
    assert_eq!(joined["group"], hex::encode(group.group_id().0));
    assert_eq!(joined["epoch"], group.epoch());
    assert_eq!(joined["extensions"], json!([[0xF0C1, named(&home)]]));
    let names: Vec<_> =
        group.members().iter().map(|(_, device)| hex::encode([home.id().0, device.0].concat())).collect();
    assert_eq!(joined["members"], json!(names));
    assert_same_key(&group.frame_keys().unwrap(), &mut node);
    let session = group.next_session().unwrap();
    let mut sealer = FrameSealer::new(&group.frame_keys().unwrap(), session);
    assert_node_opens(&mut sealer, &mut node, 1_000);

    // Notes go both ways.
    let note = Note::Unknown(99);
    let sent = group.send_note(&note).unwrap();
    assert_eq!(process(&mut node, &sent)["content"], hex::encode(note.to_bytes().unwrap()));
    let goodbye = json!({"content": hex::encode(Note::Goodbye.to_bytes().unwrap())});
    let said = node.bytes("application", goodbye, "message");
    let heard = Processed::Note { from: witness.device, note: Note::Goodbye };
    assert_eq!(group.process(&said, &home.chain).unwrap(), heard);

    // It takes a member's update with the commit that holds it, then an add, and a removal under a new list.
    let update = member.propose_update().unwrap();
    assert_eq!(group.process(&update, &home.chain).unwrap(), Processed::Proposal);
    process(&mut node, &update);
    let commit = sync(&mut group, &home, &[]);
    member.process(&commit.commit, &home.chain).unwrap();
    process(&mut node, &commit.commit);
    assert_same_key(&group.frame_keys().unwrap(), &mut node);

    let package = second.package(&home.chain);
    let commit = sync(&mut group, &home, &[package]);
    member.process(&commit.commit, &home.chain).unwrap();
    let mut admin = second.join(&home.chain, camera.device(), &commit);
    process(&mut node, &commit.commit);
    assert_same_key(&admin.frame_keys().unwrap(), &mut node);

    home.remove(first.id());
    let commit = admin.remove_unlisted(&home.chain).unwrap().unwrap();
    admin.confirm().unwrap();
    group.process(&commit.commit, &home.chain).unwrap();
    let followed = process(&mut node, &commit.commit);
    assert_eq!(followed["extensions"], json!([[0xF0C1, named(&home)]]));
    assert_same_key(&group.frame_keys().unwrap(), &mut node);
    assert_same_key(&admin.frame_keys().unwrap(), &mut node);
    sealer.rekey(&group.frame_keys().unwrap()).unwrap();
    assert_node_opens(&mut sealer, &mut node, 100_000);

    // Removed itself, it has no key for what is sealed afterwards.
    home.remove(witness.device);
    let commit = sync(&mut group, &home, &[]);
    assert_eq!(process(&mut node, &commit.commit)["removed"], true);
    let key = node.bytes("base_key", json!({}), "key");
    assert!(!group.frame_keys().unwrap().stands_in(&key));
    sealer.rekey(&group.frame_keys().unwrap()).unwrap();
    let mut sframe = Vec::new();
    sealer.seal(VIDEO, HEADER, ENVELOPE, b"afterwards", &mut sframe).unwrap();
    let request = json!({"sframe": hex::encode(&sframe), "envelope": hex::encode(ENVELOPE)});
    assert!(node.try_ask("open", request).is_err());
}

#[test]
fn our_members_follow_a_node_camera_and_open_its_frames() {
    let Some(mut node) = Node::start() else { return };
    let mut home = Household::found();
    let camera = enrol(&mut home, &mut node, Role::Camera);
    let mut devices = [Device::new(home.enrol(Role::Viewer)), Device::new(home.enrol(Role::Viewer))];

    let group = GroupId::new(camera.device, 0);
    let founded = node.ask("found", json!({"group": hex::encode(group.0), "extension": named(&home)}));
    assert_eq!((&founded["epoch"], &founded["leaf"]), (&json!(0), &json!(0)));
    let add: Vec<_> =
        devices.iter_mut().map(|device| hex::encode(device.package(&home.chain).key_package)).collect();
    let welcome = node.bytes("commit", json!({"add": add, "extension": named(&home)}), "welcome");
    let [mut first, mut second] = devices.each_mut().map(|device| {
        let (lists, packages) = (&home.chain, &mut device.packages);
        Member::join(&device.identity, lists, packages, camera.device, &welcome).unwrap()
    });
    assert_eq!((first.group_id(), first.epoch()), (group, 1));
    assert_same_key(&first.frame_keys().unwrap(), &mut node);
    assert_same_key(&second.frame_keys().unwrap(), &mut node);
    assert_opens_nodes(first.frame_keys().unwrap(), &mut node);

    // The camera takes in an update of ours.
    let update = second.propose_update().unwrap();
    assert_eq!(first.process(&update, &home.chain).unwrap(), Processed::Proposal);
    process(&mut node, &update);
    let commit = node.bytes("commit", json!({"extension": named(&home)}), "commit");
    for member in [&mut first, &mut second] {
        assert!(matches!(member.process(&commit, &home.chain).unwrap(), Processed::Epoch(_)));
        assert_same_key(&member.frame_keys().unwrap(), &mut node);
    }

    // It removes one of ours; the other follows.
    let gone = second.frame_keys().unwrap().own_leaf();
    let request = json!({"remove": [gone], "extension": named(&home)});
    let commit = node.bytes("commit", request, "commit");
    let Processed::Epoch(change) = first.process(&commit, &home.chain).unwrap() else { panic!() };
    assert_eq!((change.epoch, change.removed), (3, vec![devices[1].id()]));
    assert_eq!(second.process(&commit, &home.chain).unwrap(), Processed::Removed);
    assert_same_key(&first.frame_keys().unwrap(), &mut node);
    assert_opens_nodes(first.frame_keys().unwrap(), &mut node);
}

#[test]
fn headers_are_written_alike() {
    let Some(mut node) = Node::start() else { return };
    let scene = household::Scene::with(&[Role::Viewer]);
    for session in [1, 7, 0x8000, 0xFFFF_FFFF] {
        let keys = scene.group.frame_keys().unwrap();
        let mut sealer = FrameSealer::new(&keys, SenderSession(session));
        for _ in 0..300 {
            let mut sframe = Vec::new();
            let sealed = sealer.seal(AUDIO, HEADER, ENVELOPE, b"", &mut sframe).unwrap();
            if sealed.ctr % 37 > 1 {
                continue;
            }
            let read = node.ask("header", json!({"sframe": hex::encode(&sframe)}));
            let header = hex::decode(read["header"].as_str().unwrap()).unwrap();
            assert!(sframe.starts_with(&header));
            assert_eq!(read["length"], header.len());
            assert_eq!(read["kid"], sealed.kid.value().to_string());
            assert_eq!(read["ctr"], sealed.ctr.to_string());
        }
    }
}
