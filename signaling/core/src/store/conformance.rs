//! What every store must do, as tests that run on any of them; each panics where the store is wrong.
#![allow(clippy::missing_panics_doc)]

mod delivery;
mod households;
mod scene;

pub use delivery::{commit_with_list, commits, cursors, mail, messages, purge, welcomes};
pub use households::{audit_chain, deletion, households_and_lists, invites, key_packages, sessions};

use crate::store::Store;

/// Runs all of them on an empty store.
pub async fn all<S: Store>(store: &S) {
    households_and_lists(store).await;
    sessions(store).await;
    key_packages(store).await;
    commits(store).await;
    commit_with_list(store).await;
    messages(store).await;
    welcomes(store).await;
    audit_chain(store).await;
    mail(store).await;
    purge(store).await;
    cursors(store).await;
    invites(store).await;
    deletion(store).await;
}
