//! A household whose parts act one small step at a time, in any order, and then find together again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use latchkey_api::device_list::{DeviceList, Reason, Right, Rights, Role, Signer};
use latchkey_e2ee::group::{ClaimedPackage, KeyPackages, Member};
use latchkey_e2ee::identity::{DeviceIdentity, DevicePublic, HouseholdRoot};

use crate::camera::Camera;
use crate::checker::{Checker, Held, Seen};
use crate::device::Device;
use crate::server::Server;
use crate::step::{AdminStep, CameraStep, Change, DeviceStep, Ends, Step};

pub struct World {
    pub server: Server,
    pub camera: Camera,
    pub devices: Vec<Device>,
    pub checker: Checker,
    root: HouseholdRoot,
    now: u64,
    /// Lists that the server did not take, because another admin was faster.
    refused: Vec<Vec<u8>>,
}

impl World {
    /// A camera, two admins and two viewers who are all in the camera's group.
    pub fn found() -> Result<Self, String> {
        let (root, _) = HouseholdRoot::generate().unwrap();
        let admin = DeviceIdentity::generate().unwrap();
        let camera = DeviceIdentity::generate().unwrap();
        let mut server = Server::new(&root.public());
        let mut checker = Checker::default();
        let entry = admin.public().entry(Role::Admin, NOW, Vec::new());
        let founding = DeviceList::founding(root.household(), entry, NOW).unwrap();
        let signed = root.sign_list(founding.clone());
        checker.list_signed(signed.hash(), founding);
        server.post_list(signed.as_bytes(), at(NOW)).unwrap();
        let mut world = Self {
            camera: Camera::new(camera, root.public()),
            devices: Vec::new(),
            server,
            checker,
            root,
            now: NOW,
            refused: Vec::new(),
        };
        world.devices.push(Device::new(admin, world.camera.id(), world.server.lists()));
        world.devices[0].start();
        let entry = world.camera.identity.public().entry(Role::Camera, NOW, Vec::new());
        let draft = world.draft(0, Reason::Added).unwrap().with(entry).unwrap();
        world.devices[0].sign(draft, NOW, &mut world.checker);
        world.devices[0].post_list(&mut world.server, true, NOW);
        for role in [Role::Admin, Role::Viewer, Role::Viewer] {
            world.admin(0, &AdminStep::Sign(Change::Enrol(role)))?;
            world.admin(0, &AdminStep::Post { answered: true })?;
        }
        world.heal()?;
        Ok(world)
    }

    /// Takes all steps, lets the network heal, and looks at everything once more.
    pub fn live(mut self, steps: &[Step]) -> Result<Seen, String> {
        for step in steps {
            self.step(step)?;
        }
        self.heal()?;
        self.checker.try_everything()?;
        Ok(self.checker.seen())
    }

    fn step(&mut self, step: &Step) -> Held {
        match step {
            Step::Hours(hours) => {
                self.now += u64::from(*hours) * 3600;
                Ok(())
            }
            Step::Camera(step) => self.camera(step),
            Step::Device(which, step) => {
                let which = usize::from(*which) % self.devices.len();
                self.device(which, step)
            }
            Step::Admin(which, step) => match self.admins().as_slice() {
                [] => Ok(()),
                admins => self.admin(admins[usize::from(*which) % admins.len()], step),
            },
            Step::ShowRefused(list) => self.show(usize::from(*list)),
        }
    }

    fn camera(&mut self, step: &CameraStep) -> Held {
        let Self { camera, server, checker, now, .. } = self;
        match *step {
            CameraStep::Round => {
                camera.start(server.lists(), *now)?;
                camera.fetch_lists(server, usize::MAX, *now)?;
                camera.read(server, usize::MAX, checker)?;
                camera.sync(server, &[], false, *now);
                camera.send(server, true, checker)?;
                camera.tell_record(server, Ends::Never, *now, checker)?;
                camera.seal(1, *now, checker)
            }
            CameraStep::Start => camera.start(server.lists(), *now),
            CameraStep::Crash => {
                camera.crash();
                Ok(())
            }
            CameraStep::Lists(count) => camera.fetch_lists(server, count.into(), *now),
            CameraStep::Sync { renew } => {
                camera.sync(server, &[], renew, *now);
                Ok(())
            }
            CameraStep::SyncWithStrangers => {
                let strangers = self.strangers();
                self.camera.sync(&mut self.server, &strangers, false, self.now);
                Ok(())
            }
            CameraStep::Save => camera.save(checker),
            CameraStep::Send { answered } => camera.send(server, answered, checker),
            CameraStep::Read(count) => camera.read(server, count.into(), checker),
            CameraStep::ReadAt(place) => camera.read_at(server, place.into(), checker),
            CameraStep::Seal(count) => camera.seal(count.into(), *now, checker),
            CameraStep::Record { ends } => camera.tell_record(server, ends, *now, checker),
            CameraStep::Note { ends } => camera.note(server, ends, checker),
        }
    }

    fn device(&mut self, which: usize, step: &DeviceStep) -> Held {
        let Self { devices, server, checker, now, .. } = self;
        let device = &mut devices[which];
        match *step {
            DeviceStep::Round => {
                device.start();
                device.fetch_lists(server, usize::MAX, *now);
                if !server.has_package(device.id()) {
                    device.publish(server, false, false, *now);
                }
                device.take_welcomes(server, false, checker)?;
                device.read(server, usize::MAX, checker)?;
                device.send(server, true, checker)?;
                device.watch(u8::MAX, 0, false, *now, checker)?;
            }
            DeviceStep::Start => device.start(),
            DeviceStep::Crash => device.crash(),
            DeviceStep::Lists(count) => device.fetch_lists(server, count.into(), *now),
            DeviceStep::Publish { last_resort, ends_before } => {
                device.publish(server, last_resort, ends_before, *now);
            }
            DeviceStep::Welcomes { ends_before } => device.take_welcomes(server, ends_before, checker)?,
            DeviceStep::Read(count) => device.read(server, count.into(), checker)?,
            DeviceStep::ReadAt(place) => device.read_at(server, place.into(), checker)?,
            DeviceStep::Update { saves, posts } => device.update(server, saves, posts),
            DeviceStep::Note { ends } => device.note(server, ends, checker)?,
            DeviceStep::Watch { count, loses, swaps } => device.watch(count, loses, swaps, *now, checker)?,
        }
        Ok(())
    }

    fn admin(&mut self, which: usize, step: &AdminStep) -> Held {
        match *step {
            AdminStep::Sign(change) => {
                if let Some(draft) = self.changed(which, change) {
                    self.devices[which].sign(draft, self.now, &mut self.checker);
                }
            }
            AdminStep::Post { answered } => {
                self.refused.extend(self.devices[which].post_list(&mut self.server, answered, self.now));
            }
            AdminStep::Remove => self.devices[which].remove_unlisted(),
            AdminStep::Send { answered } => {
                self.devices[which].send(&mut self.server, answered, &mut self.checker)?;
            }
        }
        Ok(())
    }

    /// What an admin wants the next list to be; `None` when it makes no sense to it.
    fn changed(&mut self, admin: usize, change: Change) -> Option<DeviceList> {
        let draft = self.draft(admin, Reason::Changed)?;
        let camera = self.camera.id();
        match change {
            Change::Enrol(role) => {
                let identity = self.new_device(admin)?;
                draft.with(identity.entry(role, self.now, Vec::new())).ok()
            }
            Change::EnrolGuest { hours } => {
                let mut entry = self.new_device(admin)?.entry(Role::Guest, self.now, Vec::new());
                entry.not_after = Some(self.now + 3600 * (1 + u64::from(hours)));
                entry.cameras = Some(vec![camera]);
                entry.rights = Rights::of(&[Right::See]);
                draft.with(entry).ok()
            }
            Change::Remove(which) => {
                let device = self.devices[usize::from(which) % self.devices.len()].id();
                draft.without(device).ok()
            }
            Change::Restore(which) => {
                let device = self.devices[usize::from(which) % self.devices.len()].identity.public();
                draft.with(device.entry(Role::Viewer, self.now, Vec::new())).ok()
            }
            Change::ResetCamera => draft.with_camera_reset(camera).ok(),
            Change::Join => Some(draft),
        }
    }

    fn draft(&self, admin: usize, reason: Reason) -> Option<DeviceList> {
        let run = self.devices[admin].run.as_ref()?;
        run.lists.next_draft(Signer::Device(self.devices[admin].id()), self.now, reason)
    }

    fn new_device(&mut self, admin: usize) -> Option<DevicePublic> {
        if self.devices.len() >= MOST_DEVICES {
            return None;
        }
        let identity = DeviceIdentity::generate().unwrap();
        let public = identity.public();
        let mut device = Device::new(identity, self.camera.id(), &self.devices[admin].run.as_ref()?.lists);
        device.start();
        self.devices.push(device);
        Some(public)
    }

    /// Devices that are admins by the newest list.
    fn admins(&self) -> Vec<usize> {
        let list = self.server.lists().head().unwrap().list();
        let is_admin =
            |device: &Device| list.device(device.id()).is_some_and(|entry| entry.role == Role::Admin);
        (0..self.devices.len()).filter(|at| is_admin(&self.devices[*at])).collect()
    }

    /// A list that is signed and that the server does not have comes to light, and members tell each other. Whoever
    /// knew only this one, or learnt of it after the household went on, would have to be enrolled again.
    fn show(&mut self, list: usize) -> Held {
        if self.refused.is_empty() {
            return Ok(());
        }
        let list = &self.refused[list % self.refused.len()];
        for device in &mut self.devices {
            device.start();
            device.fetch_lists(&self.server, usize::MAX, self.now);
            device.be_shown(list, self.now);
        }
        self.camera.fetch_lists(&self.server, usize::MAX, self.now)?;
        self.camera.be_shown(list, self.now);
        Ok(())
    }

    /// Key packages that nobody asked for: of a stranger, and the stranger's under a viewer's name.
    fn strangers(&self) -> Vec<ClaimedPackage> {
        let stranger = DeviceIdentity::generate().unwrap();
        let package = KeyPackages::new().generate(&stranger, self.server.lists(), at(self.now)).unwrap();
        [stranger.device(), self.devices[0].id()]
            .map(|device| ClaimedPackage { device, key_package: package.clone() })
            .to_vec()
    }

    /// The network is whole again and everybody runs: do they find together?
    pub fn heal(&mut self) -> Held {
        for _ in 0..ROUNDS {
            self.round()?;
            if self.differences().is_none() {
                break;
            }
        }
        self.camera.seal(1, self.now, &mut self.checker)?;
        match self.differences() {
            None => Ok(()),
            Some(difference) => Err(format!("convergence: {difference}")),
        }
    }

    fn round(&mut self) -> Held {
        let now = self.now;
        for device in &mut self.devices {
            device.start();
            device.fetch_lists(&self.server, usize::MAX, now);
        }
        self.camera.start(self.server.lists(), now)?;
        self.camera.fetch_lists(&self.server, usize::MAX, now)?;
        self.join_histories()?;
        self.publish_where_missing();
        self.camera.read(&self.server, usize::MAX, &mut self.checker)?;
        for _ in 0..4 {
            self.camera.send(&mut self.server, true, &mut self.checker)?;
            self.camera.sync(&mut self.server, &[], false, now);
        }
        self.camera.send(&mut self.server, true, &mut self.checker)?;
        self.camera.tell_record(&mut self.server, Ends::Never, now, &mut self.checker)?;
        for device in &mut self.devices {
            device.take_welcomes(&mut self.server, false, &mut self.checker)?;
            device.read(&self.server, usize::MAX, &mut self.checker)?;
            device.send(&mut self.server, true, &mut self.checker)?;
            device.watch(u8::MAX, 0, false, now, &mut self.checker)?;
        }
        Ok(())
    }

    /// Whoever knows two histories and may, joins them; else the owner does it with the twelve words.
    fn join_histories(&mut self) -> Held {
        let is_forked = |device: &Device| device.run.as_ref().is_some_and(|run| run.lists.rival().is_some());
        if !self.devices.iter().any(is_forked) {
            return Ok(());
        }
        let before = self.server.lists().lists().count();
        for admin in self.admins() {
            self.admin(admin, &AdminStep::Sign(Change::Join))?;
            self.admin(admin, &AdminStep::Post { answered: true })?;
        }
        let forked =
            self.devices.iter().find(|device| is_forked(device)).and_then(|device| device.run.as_ref());
        if let Some(run) = forked.filter(|_| self.server.lists().lists().count() == before) {
            let draft = run.lists.next_draft(Signer::Root, self.now, Reason::Recovered).unwrap();
            let admin = self.devices[0].identity.public().entry(Role::Admin, NOW, Vec::new());
            let draft = draft.with(admin).map_err(|error| error.to_string())?;
            let signed = self.root.sign_list(draft.clone());
            self.checker.list_signed(signed.hash(), draft);
            self.server.post_list(signed.as_bytes(), at(self.now)).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn publish_where_missing(&mut self) {
        for device in &mut self.devices {
            if !self.server.has_package(device.id()) {
                device.publish(&mut self.server, false, false, self.now);
            }
        }
    }

    /// What keeps the household from being of one mind, if anything.
    fn differences(&self) -> Option<String> {
        let Some(camera) = &self.camera.run else { return Some("the camera does not run".to_owned()) };
        let group = &camera.group;
        let (id, epoch) = (group.group_id(), group.epoch());
        let head = self.server.lists().head()?;
        if group.pending().is_some() || camera.lists.head().map(|head| head.version()) != Some(head.version())
        {
            return Some("the camera is behind".to_owned());
        }
        let members: Vec<_> = group.members().iter().map(|(_, device)| *device).collect();
        let time = group.list().time.max(self.now);
        for device in &self.devices {
            let entitled = head.list().may(device.id(), Right::See, id.camera(), time);
            if members.contains(&device.id()) != entitled {
                return Some(format!(
                    "{:?} is in the group: {}, entitled: {entitled}",
                    device.id(),
                    !entitled
                ));
            }
            let member = device.run.as_ref().and_then(|run| run.member.as_ref()).filter(|m| !m.is_removed());
            let there = member.is_some_and(|m| (m.group_id(), m.epoch()) == (id, epoch));
            if entitled && (!there || member.map(Member::members) != Some(group.members())) {
                let epochs = member.map(|m| (m.group_id().generation(), m.epoch()));
                return Some(format!("{:?} is in {epochs:?}, the camera in epoch {epoch}", device.id()));
            }
            if !entitled && there {
                return Some(format!("{:?} is in the newest epoch and not entitled", device.id()));
            }
        }
        None
    }
}

pub fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Seconds since the Unix epoch at which the households begin.
const NOW: u64 = 1_800_000_000;
const MOST_DEVICES: usize = 9;
/// Rounds in which everybody speaks with the server until they must agree.
const ROUNDS: usize = 6;
