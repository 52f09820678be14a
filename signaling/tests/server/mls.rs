//! MLS messages as far as a server reads them (RFC 9420 section 6); what follows is noise.

use latchkey_api::id::GroupId;

use crate::home::random;

pub(crate) const MEMBER: u8 = 1;
pub(crate) const EXTERNAL: u8 = 2;
pub(crate) const APPLICATION: u8 = 1;
pub(crate) const PROPOSAL: u8 = 2;
pub(crate) const COMMIT: u8 = 3;

pub(crate) fn public(group: GroupId, epoch: u64, sender: u8, content: u8) -> Vec<u8> {
    let mut bytes = vec![0, 1, 0, 1, 20];
    bytes.extend(group.0);
    bytes.extend(epoch.to_be_bytes());
    bytes.extend([sender, 0, 0, 0, 0, 0, content]);
    bytes.extend(random::<32>());
    bytes
}

pub(crate) fn private(group: GroupId, epoch: u64, content: u8) -> Vec<u8> {
    let mut bytes = vec![0, 1, 0, 2, 20];
    bytes.extend(group.0);
    bytes.extend(epoch.to_be_bytes());
    bytes.push(content);
    bytes.extend(random::<32>());
    bytes
}

pub(crate) fn commit(group: GroupId, epoch: u64) -> Vec<u8> {
    public(group, epoch, MEMBER, COMMIT)
}

pub(crate) fn welcome() -> Vec<u8> {
    [&[0, 1, 0, 3][..], &random::<32>()].concat()
}

pub(crate) fn key_package() -> Vec<u8> {
    [&[0, 1, 0, 5][..], &random::<32>()].concat()
}
