//! A camera makes its group equal to the list: claims key packages, commits, and takes up the next epoch; members follow.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use latchkey_api::problem::ProblemCode;
use latchkey_e2ee::group::{ClaimedPackage, GroupError, PendingCommit};
use tokio::task::spawn_blocking;

use crate::crew::error::CrewFault;
use crate::crew::household::{Household, Viewer};
use crate::crew::patience::{Limited, Patience};
use crate::crew::{CameraRef, CrewError, CrewNews, Inner, MemberRef};

/// One change of one household.
pub(in crate::crew) struct Round<'a> {
    pub(in crate::crew) household: &'a Household,
    pub(in crate::crew) patience: &'a Patience,
    /// Who hears of it; none while the household is being founded.
    pub(in crate::crew) news: Option<&'a Inner>,
}

impl Round<'_> {
    /// Commits until the group equals the list.
    pub(in crate::crew) async fn commit(&self, camera: usize) -> Result<(), CrewError> {
        for _ in 0..ATTEMPTS {
            let waiting = self.household.cameras[camera].group().mls.pending().cloned();
            let pending = match waiting {
                Some(pending) => pending,
                None => match self.prepare(camera).await? {
                    Some(pending) => pending,
                    None => return Ok(()),
                },
            };
            self.tell(CrewNews::Hold { camera: self.camera(camera) });
            let posted = self.post(camera, &pending).await;
            if posted.is_err() {
                self.tell(CrewNews::Release { camera: self.camera(camera) });
            }
            posted?;
        }
        let doing = "agree with the server on the next epoch";
        Err(CrewError::Group { doing, source: GroupError::CommitPending })
    }

    /// Claims packages and makes the commit; none where the group equals the list.
    async fn prepare(&self, camera: usize) -> Result<Option<PendingCommit>, CrewError> {
        let of = &self.household.cameras[camera];
        let lists = self.household.chain();
        let missing = of.group().mls.missing(&lists, SystemTime::now());
        let mut claimed = Vec::with_capacity(missing.len());
        // The admin watches nothing here: it leaves no key package, and stays outside.
        for device in missing.into_iter().filter(|device| *device != self.household.admin.id()) {
            let claim = || of.device.signaling.claim_key_package(device);
            match self.patience.ask(Limited::Request, "claim key packages", claim).await {
                Ok((key_package, _)) => claimed.push(ClaimedPackage { device, key_package }),
                // One whose enrolment broke off keeps nobody else waiting.
                Err(error) if error.code() == Some(ProblemCode::NoKeyPackage) => {}
                Err(error) => return Err(error),
            }
        }
        let of = Arc::clone(of);
        let synced = calculate(move || of.group().mls.sync(&lists, &claimed, SystemTime::now())).await;
        let synced = synced.map_err(|source| CrewError::Group { doing: "commit", source })?;
        match synced.refused.into_iter().next() {
            Some(refused) => Err(CrewError::Group { doing: "take a key package", source: refused.error }),
            None => Ok(synced.commit),
        }
    }

    /// Sends a commit and takes up the epoch that the server's answer begins, by this commit or by another.
    async fn post(&self, camera: usize, pending: &PendingCommit) -> Result<(), CrewError> {
        let of = &self.household.cameras[camera];
        let group = of.group_id();
        let failed = |source| CrewError::Group { doing: "take up the next epoch", source };
        let commit = pending.to_post();
        let post = || of.device.signaling.post_commit(group, &commit);
        let mut posted = self.patience.ask(Limited::Request, "post commits", post).await;
        for _ in 1..SENDINGS {
            // It may have come through; then the server says that the epoch is taken.
            let Err(CrewError::Unreachable { .. }) = posted else { break };
            tokio::time::sleep(AGAIN).await;
            posted = self.patience.ask(Limited::Request, "post commits", post).await;
        }
        match posted {
            Ok((seq, _)) => {
                let mut group = of.group();
                group.mls.confirm().map_err(failed)?;
                // Messages in between, if any, are still to be read.
                if seq == group.seq + 1 {
                    group.seq = seq;
                }
            }
            Err(error)
                if matches!(error.code(), Some(ProblemCode::EpochTaken | ProblemCode::EpochNotCurrent)) =>
            {
                self.read(camera).await?;
                let mut group = of.group();
                if group.mls.pending().is_some_and(|still| still.commit == pending.commit) {
                    group.mls.discard().map_err(failed)?;
                    return Err(error);
                }
            }
            // Whether it came through is not known: the next change sends it again.
            Err(error @ CrewError::Unreachable { .. }) => return Err(error),
            Err(error) => {
                of.group().mls.discard().map_err(failed)?;
                return Err(error);
            }
        }
        let keys = of.group().mls.frame_keys().map_err(failed)?;
        self.tell(CrewNews::Rekey { camera: self.camera(camera), keys });
        Ok(())
    }

    /// The camera takes what stands at the server.
    async fn read(&self, camera: usize) -> Result<(), CrewError> {
        let of = &self.household.cameras[camera];
        let (group, seq) = (of.group_id(), of.group().seq);
        let read = || of.device.signaling.messages_after(group, seq);
        let (messages, _) = self.patience.ask(Limited::Request, "read messages", read).await?;
        let taken = of.group().take(&messages, &self.household.chain());
        taken.map_err(|source| CrewError::Group { doing: "read its group's messages", source })
    }

    /// Whoever stays takes the messages that the server has for the group; so does `gone`, that is removed by them.
    /// Returns who could not.
    pub(in crate::crew) async fn follow(
        &self,
        camera: usize,
        gone: Option<&Arc<Viewer>>,
    ) -> Result<Vec<CrewFault>, CrewError> {
        let staying = self.household.staying();
        let mut following: Vec<_> = staying.iter().chain(gone).cloned().collect();
        following.retain(|viewer| viewer.seq(camera).is_some());
        let Some(after) = following.iter().filter_map(|viewer| viewer.seq(camera)).min() else {
            return Ok(Vec::new());
        };
        // One reads for all: the server says the same to each.
        let of = &self.household.cameras[camera];
        let reader = staying.first().map_or(&of.device, |viewer| &viewer.device);
        let group = of.group_id();
        let read = || reader.signaling.messages_after(group, after);
        let (messages, _) = self.patience.ask(Limited::Request, "read messages", read).await?;
        let messages = Arc::new(messages);
        let mut working = FuturesUnordered::new();
        for viewers in following.chunks(TOGETHER) {
            let (viewers, messages) = (viewers.to_vec(), Arc::clone(&messages));
            let lists = self.household.chain();
            working.push(self.calculate_beside(move || {
                let follow = |viewer: Arc<Viewer>| {
                    let followed = viewer.follow(camera, &messages, &lists);
                    (viewer, followed)
                };
                viewers.into_iter().map(follow).collect::<Vec<_>>()
            }));
        }
        let (camera, epoch) = (self.camera(camera), of.group().mls.epoch());
        let mut faults = Vec::new();
        while let Some(worked) = working.next().await {
            for (viewer, followed) in worked {
                let member = MemberRef { household: self.household.number, member: viewer.number };
                match followed {
                    // What it has left is looked at when all is over.
                    _ if viewer.is_removed() => {}
                    Ok(at) if at == Some(epoch) => self.tell(CrewNews::Keys { camera, member }),
                    Ok(_) => faults.push(CrewFault::KeptBack { member, camera }),
                    Err(error) => {
                        faults.push(CrewFault::LeftBehind { member, camera, why: error.to_string() });
                    }
                }
            }
        }
        Ok(faults)
    }

    /// Calculates when it is this work's turn.
    async fn calculate_beside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let _turn = match self.news {
            Some(crew) => crew.followers.acquire().await.ok(),
            None => None,
        };
        calculate(work).await
    }

    pub(in crate::crew) fn camera(&self, camera: usize) -> CameraRef {
        CameraRef { household: self.household.number, camera: camera as u32 }
    }

    fn tell(&self, news: CrewNews) {
        if let Some(crew) = self.news {
            crew.tell(news);
        }
    }
}

/// Does what takes a processor for milliseconds where it holds up nobody who waits for the network.
pub(in crate::crew) async fn calculate<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime ends.
        Err(_) => std::future::pending().await,
    }
}

/// Commits in one go.
const ATTEMPTS: usize = 4;
/// How often a commit is sent to a server that does not answer, and how long after one another.
const SENDINGS: usize = 3;
const AGAIN: Duration = Duration::from_millis(300);
/// Members that follow one after the other on one thread.
const TOGETHER: usize = 8;
