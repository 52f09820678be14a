//! This device as a camera: its group is kept, and its frames are sealed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use latchkey_api::id::DeviceId;
use latchkey_household::camera::publish::Publishing;
use latchkey_household::camera::sealing::{Fate, Sealing};
use latchkey_household::camera::signed_sealer::Plain;
use latchkey_household::clock::{self, Instant};
use latchkey_household::event::Teller;
use latchkey_household::task::spawn;

use crate::device::Device;
use crate::device::sessions::{Session, Tasks, pass_on};
use crate::face::Fault;
use crate::face::event::Event;
use crate::face::session::Watch;
use crate::host::Host;
use crate::told;

/// A running camera.
pub struct CameraSession {
    number: u32,
    camera: DeviceId,
    host: Arc<dyn Host>,
    teller: Arc<Teller>,
    sealing: Mutex<Sealing>,
    /// Until it is ended.
    publishing: Mutex<Option<(Publishing, Tasks)>>,
}

impl Device {
    pub(super) async fn publish(&self) -> Result<Watch, Fault> {
        let member = self.member()?;
        let number = self.next_number();
        let teller = Arc::new(Teller::new());
        let mut tasks = Tasks(vec![pass_on(number, &teller, Arc::clone(&self.host))]);
        let mut publishing = Publishing::start(&member.home, &member.signaling, Arc::clone(&teller)).await?;
        let sealing = Sealing::of(&mut publishing, Instant::now()).ok_or_else(Fault::not_under_way)?;
        let (mut hold, host) = (publishing.hold(), Arc::clone(&self.host));
        tasks.0.push(spawn(async move {
            while hold.changed().await.is_ok() {
                host.retry(number);
            }
        }));
        let (over, host) = (publishing.over(), Arc::clone(&self.host));
        tasks.0.push(spawn(async move {
            if let Some(reason) = over.await {
                host.tell(Event::Ended { session: number, reason });
            }
        }));
        let camera = member.home.lock().await.device();
        let session = CameraSession {
            number,
            camera,
            host: Arc::clone(&self.host),
            teller,
            sealing: Mutex::new(sealing),
            publishing: Mutex::new(Some((publishing, tasks))),
        };
        self.keep_session(number, Session::Camera(Arc::new(session)));
        Ok(Watch { session: number })
    }
}

impl CameraSession {
    /// Seals a frame of a layer. After [`Fate::Send`] `wire` is what goes on to the relay.
    pub fn seal(&self, layer: u32, frame: Plain<'_>, wire: impl FnOnce(&[u8])) -> Fate {
        let mut sealing = self.sealing();
        let fate = sealing.seal(layer, frame, clock::now(), Instant::now());
        if fate == Fate::Send {
            wire(sealing.wire());
        }
        fate
    }

    pub(super) fn camera(&self) -> DeviceId {
        self.camera
    }

    pub(super) fn teller(&self) -> &Arc<Teller> {
        &self.teller
    }

    pub(super) fn tick(&self, now: Instant) {
        let stats = self.sealing().figures(now);
        if let Some(stats) = stats {
            self.host.tell(Event::Sending { session: self.number, figures: told::sending(&stats) });
        }
    }

    pub(super) fn end(&self) {
        let ended = self.publishing.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((publishing, tasks)) = ended {
            drop(tasks);
            drop(spawn(publishing.stop()));
        }
    }

    fn sealing(&self) -> MutexGuard<'_, Sealing> {
        self.sealing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for CameraSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CameraSession").field("camera", &self.camera).finish_non_exhaustive()
    }
}
