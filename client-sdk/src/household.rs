//! Households and their devices, each device in its folder: founding one, inviting, joining, and enrolment.

use std::path::Path;
use std::time::Duration;

use latchkey_e2ee::identity::Phrase;
pub use latchkey_household::enrol::{
    Accepted, Arrival, ArrivalConfig, ArrivalError, CodeError, CreateError, Founding, Invitation, InviteCode,
    InviteError, Invited, JoinError, LetIn, LetInError, Met, WallClock, machine_clock,
};

use crate::home::{Home, HomeError};
use crate::vault::Vault;

/// Founds a household on `server`, with this device, called `name`, as its first admin, kept in `dir`.
///
/// Returns the device and the twelve words of the root: show them once, they are kept nowhere.
/// On failure nothing is left in `dir`.
pub async fn create(dir: &Path, server: &str, name: &str) -> Result<(Home, Phrase), CreateError> {
    latchkey_household::enrol::create(fresh(dir)?, server, name).await
}

/// Joins the household of `code` with new keys kept in `dir`; waits at most `patience` for the admin.
///
/// Returns when the whole chain of lists is verified against the root key in the code and has this
/// device in it. On failure nothing is left in `dir`.
pub async fn join(dir: &Path, code: &InviteCode, patience: Duration) -> Result<Home, JoinError> {
    latchkey_household::enrol::join(fresh(dir)?, code, patience).await
}

/// Makes an empty vault in `dir` for a device that is to be; nothing is written before it is one.
///
/// Fails with [`HomeError::Vault`].
pub fn fresh(dir: &Path) -> Result<latchkey_household::vault::Vault, HomeError> {
    Ok(Vault::create(dir)?.into())
}
