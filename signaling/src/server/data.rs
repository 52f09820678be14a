//! The data folder: private to its user, with the database in it, into which the operator's invite codes go, too.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::SystemTime;

use latchkey_signaling_core::invites::InviteCode;

use crate::config::ServerConfig;
use crate::server::start_error::StartError;
use crate::store::sqlite::SqliteStore;

/// Makes an invite code in the data folder of a server, which may be running.
///
/// # Errors
/// [`StartError`]; no code is good then.
pub async fn make_invite_code(config: &ServerConfig, uses: u32, days: u32) -> Result<InviteCode, StartError> {
    make_data_dir(config)?;
    let store = open_store(config).await?;
    let mut random = [0; 20];
    getrandom::fill(&mut random).map_err(|_| StartError::NoRandomness)?;
    let made = InviteCode::make(&store, random, (uses, days), SystemTime::now()).await;
    store.close().await;
    made.map_err(|_| StartError::InviteCode)
}

pub(super) fn make_data_dir(config: &ServerConfig) -> Result<(), StartError> {
    let path = &config.data_dir;
    make_private(path).map_err(|source| StartError::DataDir { path: path.clone(), source })
}

pub(super) async fn open_store(config: &ServerConfig) -> Result<SqliteStore, StartError> {
    let path = config.data_dir.join(DATABASE);
    SqliteStore::open(&path).await.map_err(|source| StartError::Store { path, source })
}

/// Makes the folder for this user alone; one that is there stays as it is.
fn make_private(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

const DATABASE: &str = "signaling.sqlite";
