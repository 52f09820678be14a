//! Everything that a device keeps to itself, as needles: its keys, the states of its groups, its name.

use std::path::Path;

use latchkey::home::{self, HomeError};
use latchkey::vault::Vault;
use latchkey_api::device_list::ListChain;
use latchkey_e2ee::group::{CameraGroup, GroupError, KeyPackages, Member};

use crate::leak::{Needles, WINDOW};

/// Why a device's secrets cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// What the device keeps.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A stored group or key package.
    #[error(transparent)]
    Group(#[from] GroupError),
}

/// Adds what the device in `dir` must keep to itself: its private keys, the key of the names, its name, the secrets of its
/// unused key packages, and of each of its groups the whole state but for what MLS makes public. Returns how many secret bytes
/// its groups and key packages have.
///
/// # Errors
/// [`SecretsError`], by variant.
pub fn add(needles: &mut Needles, dir: &Path, name: &str) -> Result<usize, SecretsError> {
    let home = home::look(dir)?;
    needles.add("name of a device", name.as_bytes());
    let (identity, id) = (home.identity().to_bytes(), home.identity().device());
    // The device's id is public; its two private keys follow it.
    let keys = identity.windows(id.0.len()).position(|window| window == id.0).map(|at| at + id.0.len());
    for key in identity[keys.unwrap_or(0)..].chunks(32).filter(|key| key.len() >= WINDOW) {
        needles.add_in_all_spellings(&format!("identity of {name}"), key);
    }
    let mut bytes = 0;
    let vault = Vault::look(dir).map_err(HomeError::from)?;
    for record in vault.names("") {
        let secret = vault.record(record).unwrap_or_default();
        if record == "label-key" {
            needles.add_in_all_spellings("key of the names", secret);
        } else if let Some(public) = public_part(record, secret, home.chain())? {
            let public = [public, ids(home.chain())].concat();
            bytes += needles.add_secret_parts(&format!("{record} of {name}"), secret, &public);
        }
    }
    Ok(bytes)
}

/// Of a record that holds MLS secrets, what the server is meant to have; `None` for every other record.
fn public_part(record: &str, secret: &[u8], chain: &ListChain) -> Result<Option<Vec<u8>>, GroupError> {
    Ok(match record {
        "camera/group" => Some(CameraGroup::restore(secret, chain)?.public_state()?),
        "key-packages" => Some(KeyPackages::restore(secret)?.published()?),
        group if group.starts_with("group/") => Some(Member::restore(secret, chain)?.public_state()?),
        _ => None,
    })
}

/// Who is in the household, which every server knows: each id as a member is called in a group, and by itself, with zeros
/// around as they stand in any memory.
fn ids(chain: &ListChain) -> Vec<u8> {
    let (household, zeros) = (chain.household(), [0; WINDOW]);
    let devices = chain.lists().flat_map(|list| &list.list().devices).map(|entry| entry.device);
    let named = devices.flat_map(|device| [zeros, household.0, device.0, zeros, device.0].concat());
    named.chain(zeros).chain(household.0).chain(zeros).collect()
}
