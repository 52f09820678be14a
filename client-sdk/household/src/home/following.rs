//! Which cameras' groups this process follows for good: one follower each.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use latchkey_api::id::DeviceId;

use crate::home::Home;

/// The cameras whose groups are followed.
#[derive(Clone, Default)]
pub(super) struct Followed(Arc<Mutex<BTreeSet<DeviceId>>>);

/// One follower's right to what comes for one camera's group, until dropped.
pub(crate) struct Following {
    camera: DeviceId,
    followed: Followed,
}

impl Home {
    /// Follows a camera's group for good; `None` while another does. A group has one follower only: two would seal with
    /// the same keys of it.
    pub(crate) fn follow(&self, camera: DeviceId) -> Option<Following> {
        let new = self.followed.0.lock().unwrap_or_else(PoisonError::into_inner).insert(camera);
        new.then(|| Following { camera, followed: self.followed.clone() })
    }

    /// Whether a camera's group is followed for good in this process.
    pub(crate) fn is_followed(&self, camera: DeviceId) -> bool {
        self.followed.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&camera)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.followed.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.camera);
    }
}
