//! Proposals of somebody who is no member, built by hand: a server needs no secret of the group for them (RFC 9420 section 6).

use ed25519_dalek::Signer as _;
use latchkey_api::id::GroupId;

use crate::ghost::Ghost;

/// An Add of the ghost by the ghost itself, as from a new member.
pub fn proposal_of_a_new_member(ghost: &mut Ghost, group: GroupId, epoch: u64) -> Vec<u8> {
    signed_add(ghost, group, epoch, &[NEW_MEMBER_PROPOSAL])
}

/// An Add of the ghost, as from the first external sender that the group allows.
pub fn proposal_of_an_external_sender(ghost: &mut Ghost, group: GroupId, epoch: u64) -> Vec<u8> {
    signed_add(ghost, group, epoch, &[EXTERNAL, 0, 0, 0, 0])
}

/// `MLSMessage { version, public_message, FramedContent { .. Proposal { add, KeyPackage } }, signature }`.
fn signed_add(ghost: &mut Ghost, group: GroupId, epoch: u64, sender: &[u8]) -> Vec<u8> {
    let package = ghost.package();
    let package = package.strip_prefix(&KEY_PACKAGE_MESSAGE).expect("an MLSMessage with a key package");
    let mut content = PUBLIC_MESSAGE.to_vec();
    content.extend(vector(&group.0));
    content.extend(epoch.to_be_bytes());
    content.extend(sender);
    content.extend(vector(&[]));
    content.push(PROPOSAL);
    content.extend(ADD);
    content.extend(package);
    // Neither kind of sender signs the group's context.
    let to_sign = [vector(b"MLS 1.0 FramedContentTBS"), vector(&content)].concat();
    let signature = ghost.key().sign(&to_sign).to_bytes();
    [content, vector(&signature)].concat()
}

/// A vector with its length as QUIC writes it (RFC 9420 section 2.1.2).
fn vector(bytes: &[u8]) -> Vec<u8> {
    let mut out = match u16::try_from(bytes.len()).expect("a short vector") {
        short @ 0..64 => vec![short as u8],
        longer => (longer | 0x4000).to_be_bytes().to_vec(),
    };
    out.extend_from_slice(bytes);
    out
}

/// Version mls10, wire format mls_public_message.
const PUBLIC_MESSAGE: [u8; 4] = [0, 1, 0, 1];
/// Version mls10, wire format mls_key_package.
const KEY_PACKAGE_MESSAGE: [u8; 4] = [0, 1, 0, 5];
/// SenderType external, with an index behind it.
const EXTERNAL: u8 = 2;
/// SenderType new_member_proposal.
const NEW_MEMBER_PROPOSAL: u8 = 3;
/// ContentType proposal.
const PROPOSAL: u8 = 2;
/// ProposalType add.
const ADD: [u8; 2] = [0, 1];
