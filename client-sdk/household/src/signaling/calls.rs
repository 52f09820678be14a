//! The signed-in routes, one method each.

use latchkey_api::audit::{AuditRow, AuditRows};
use latchkey_api::device::{ClaimKeyPackage, ClaimedKeyPackage, KeyPackagesLeft, PublishKeyPackages};
use latchkey_api::encoding::ByteString;
use latchkey_api::export::Export;
use latchkey_api::group::{
    CursorKept, GroupMessage, GroupMessages, MessageAccepted, PendingWelcome, PostCommit, PostCursor,
    PostMessage, Rejoin, Welcomes,
};
use latchkey_api::id::{DeviceId, GroupId};
use latchkey_api::list::{ListAccepted, Lists, PostList};
use latchkey_api::session::{CameraStatus, OpenSession, SessionOpened, SessionScope};

use crate::signaling::http::Method;
use crate::signaling::{Signaling, SignalingError};

impl Signaling {
    /// Returns all signed lists with a version above `version`, oldest first.
    ///
    /// `version_of` reads the version of the last list of a page, to ask for the next page.
    pub async fn lists_after(&self, version: u64) -> Result<Vec<Vec<u8>>, SignalingError> {
        let mut lists = Vec::new();
        loop {
            // Versions have no gap, so the count is the version of the last one.
            let after = version + lists.len() as u64;
            let page: Lists = self.get(&format!("v1/lists?after={after}")).await?;
            let empty = page.lists.is_empty();
            lists.extend(page.lists.into_iter().map(ByteString::into_vec));
            if !page.more || empty {
                return Ok(lists);
            }
        }
    }

    /// Posts the next list and returns its version. Code `list-version-taken` when another was first.
    pub async fn post_list(&self, list: Vec<u8>) -> Result<u64, SignalingError> {
        let body = PostList { list: ByteString(list) };
        let accepted: ListAccepted = self.call(Method::POST, "v1/lists", Some(&body)).await?;
        Ok(accepted.version)
    }

    /// Leaves key packages for cameras to add this device with; returns how many the server holds.
    pub async fn publish_key_packages(
        &self,
        packages: Vec<Vec<u8>>,
        last_resort: Option<Vec<u8>>,
    ) -> Result<u32, SignalingError> {
        let body = PublishKeyPackages {
            packages: packages.into_iter().map(ByteString).collect(),
            last_resort: last_resort.map(ByteString),
        };
        let left: KeyPackagesLeft = self.call(Method::POST, "v1/key-packages", Some(&body)).await?;
        Ok(left.left)
    }

    /// Returns how many single-use key packages of this device the server holds.
    pub async fn key_packages_left(&self) -> Result<u32, SignalingError> {
        self.publish_key_packages(Vec::new(), None).await
    }

    /// Takes a key package of another device. Code `no-key-package` when it has left none.
    pub async fn claim_key_package(&self, device: DeviceId) -> Result<Vec<u8>, SignalingError> {
        let body = ClaimKeyPackage { device };
        let claimed: ClaimedKeyPackage =
            self.call(Method::POST, "v1/key-packages/claim", Some(&body)).await?;
        Ok(claimed.key_package.into_vec())
    }

    /// Posts a commit and returns its place. Code `epoch-taken` when another commit was first.
    pub async fn post_commit(&self, group: GroupId, commit: &PostCommit) -> Result<u64, SignalingError> {
        let path = format!("v1/groups/{group}/commits");
        let accepted: MessageAccepted = self.call(Method::POST, &path, Some(commit)).await?;
        Ok(accepted.seq)
    }

    /// Posts a proposal or application message and returns its place.
    pub async fn post_message(&self, group: GroupId, message: Vec<u8>) -> Result<u64, SignalingError> {
        let path = format!("v1/groups/{group}/messages");
        let body = PostMessage { message: ByteString(message) };
        let accepted: MessageAccepted = self.call(Method::POST, &path, Some(&body)).await?;
        Ok(accepted.seq)
    }

    /// Returns all messages of a group after place `seq`, in their order.
    pub async fn messages_after(
        &self,
        group: GroupId,
        seq: u64,
    ) -> Result<Vec<GroupMessage>, SignalingError> {
        let mut messages: Vec<GroupMessage> = Vec::new();
        loop {
            let after = messages.last().map_or(seq, |message| message.seq);
            let page: GroupMessages = self.get(&format!("v1/groups/{group}/messages?after={after}")).await?;
            let empty = page.messages.is_empty();
            messages.extend(page.messages);
            if !page.more || empty {
                return Ok(messages);
            }
        }
    }

    /// Asks the group's camera to put this device in anew. The server keeps nothing of it: a camera that is not there does
    /// not hear it. Code `rate-limited` within a minute of the last time.
    pub async fn ask_to_rejoin(&self, group: GroupId, request: &Rejoin) -> Result<(), SignalingError> {
        let path = format!("v1/groups/{group}/rejoin");
        let _: serde_json::Value = self.call(Method::POST, &path, Some(request)).await?;
        Ok(())
    }

    /// Tells the server that what came of the messages up to `seq` is saved: they are not asked for again. Returns how far
    /// this device is read.
    pub async fn post_cursor(&self, group: GroupId, seq: u64) -> Result<u64, SignalingError> {
        let path = format!("v1/groups/{group}/cursor");
        let kept: CursorKept = self.call(Method::POST, &path, Some(&PostCursor { seq })).await?;
        Ok(kept.seq)
    }

    /// Returns all rows of the household's audit chain after row `seq`, oldest first; [`AuditHead::follow`] checks them.
    ///
    /// [`AuditHead::follow`]: latchkey_api::audit::AuditHead::follow
    pub async fn audit_after(&self, seq: u64) -> Result<Vec<AuditRow>, SignalingError> {
        let mut rows: Vec<AuditRow> = Vec::new();
        loop {
            let after = rows.last().map_or(seq, |row| row.seq);
            let page: AuditRows = self.get(&format!("v1/audit?after={after}")).await?;
            // A page that does not lead on would be asked for again and again.
            let leads_on = page.rows.last().is_some_and(|row| row.seq > after);
            rows.extend(page.rows);
            if !page.more || !leads_on {
                return Ok(rows);
            }
        }
    }

    /// Returns everything the server has about the household. For admins; code `forbidden` for others.
    pub async fn export(&self) -> Result<Export, SignalingError> {
        self.get("v1/export").await
    }

    /// Returns the welcomes that wait for this device, oldest first.
    pub async fn welcomes(&self) -> Result<Vec<PendingWelcome>, SignalingError> {
        let waiting: Welcomes = self.get("v1/welcomes").await?;
        Ok(waiting.welcomes)
    }

    /// Tells the server that a welcome was used and can go.
    pub async fn acknowledge_welcome(&self, id: u64) -> Result<(), SignalingError> {
        let _: serde_json::Value =
            self.call(Method::DELETE, &format!("v1/welcomes/{id}"), None::<&()>).await?;
        Ok(())
    }

    /// Asks for a grant into a camera's room and the relay's address.
    pub async fn open_session(
        &self,
        camera: DeviceId,
        scope: SessionScope,
    ) -> Result<SessionOpened, SignalingError> {
        self.call(Method::POST, "v1/sessions", Some(&OpenSession { camera, scope })).await
    }

    /// Returns the cameras this device may see, and whether each is live.
    pub async fn cameras(&self) -> Result<Vec<CameraStatus>, SignalingError> {
        self.get("v1/cameras").await
    }

    async fn get<R: serde::de::DeserializeOwned>(&self, path: &str) -> Result<R, SignalingError> {
        self.call(Method::GET, path, None::<&()>).await
    }
}
