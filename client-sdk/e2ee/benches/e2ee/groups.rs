//! Groups: what enrolment, renewal and removal cost, and how many bytes they put on the wire.

use std::time::{Duration, Instant};

use latchkey_api::device_list::Role;
use latchkey_e2ee::group::{CameraGroup, Member, Processed};

use crate::Times;
use crate::household::{Device, Household, NOW, at};

/// Members of the group, the camera and the household's first admin among them.
const SIZES: [usize; 6] = [2, 4, 8, 16, 32, 64];
const ROUNDS: usize = 9;

/// One row per operation and size.
pub(crate) fn rows() {
    for members in SIZES {
        row(members);
    }
}

/// What was measured of one operation: the committer's time, a follower's, and sizes.
#[derive(Default)]
struct Measured {
    commit: Vec<Duration>,
    receive: Vec<Duration>,
    join: Vec<Duration>,
    commit_bytes: usize,
    welcome_bytes: usize,
}

fn row(members: usize) {
    let (mut add, mut renew, mut remove) = (Measured::default(), Measured::default(), Measured::default());
    let mut package = Vec::new();
    let (mut package_bytes, mut state_bytes) = (0, 0);
    for _ in 0..ROUNDS {
        let mut home = Household::found();
        let camera = home.enrol(Role::Camera);
        let mut devices: Vec<_> = (3..members).map(|_| Device::new(home.enrol(Role::Viewer))).collect();
        if members > 2 {
            let admin = latchkey_e2ee::identity::DeviceIdentity::from_bytes(&home.admin.to_bytes()).unwrap();
            devices.push(Device::new(admin));
        }
        let mut group = CameraGroup::found(&camera, &home.chain, at(NOW)).unwrap();
        let packages: Vec<_> = devices.iter_mut().map(|device| device.package(&home.chain)).collect();
        let commit = group.sync(&home.chain, &packages, at(NOW)).unwrap().commit;
        let mut witness = commit.map(|commit| {
            group.confirm().unwrap();
            devices[0].join(&home.chain, camera.device(), &commit)
        });

        // The last one comes.
        let mut last = Device::new(home.enrol(Role::Viewer));
        let begin = Instant::now();
        let claimed = last.package(&home.chain);
        package.push(begin.elapsed());
        package_bytes = claimed.key_package.len();
        let begin = Instant::now();
        let commit = group.sync(&home.chain, &[claimed], at(NOW)).unwrap().commit.unwrap();
        group.confirm().unwrap();
        add.commit.push(begin.elapsed());
        add.sizes(&commit.commit, &commit.welcomes[0].welcome);
        add.follow(&mut witness, &commit.commit, &home);
        let begin = Instant::now();
        let mut joined = last.join(&home.chain, camera.device(), &commit);
        add.join.push(begin.elapsed());
        assert_eq!(group.members().len(), members);
        state_bytes = group.save().len();

        // The camera's keys become new ones. No member has renewed its own, so that a path goes to each of them: the
        // largest case.
        let begin = Instant::now();
        let commit = group.renew(&home.chain, at(NOW)).unwrap();
        group.confirm().unwrap();
        renew.commit.push(begin.elapsed());
        renew.sizes(&commit.commit, &[]);
        renew.follow(&mut witness, &commit.commit, &home);
        joined.process(&commit.commit, &home.chain).unwrap();

        // The last one goes.
        home.remove(last.id());
        let begin = Instant::now();
        let commit = group.sync(&home.chain, &[], at(NOW)).unwrap().commit.unwrap();
        group.confirm().unwrap();
        remove.commit.push(begin.elapsed());
        remove.sizes(&commit.commit, &[]);
        remove.follow(&mut witness, &commit.commit, &home);
        assert_eq!(joined.process(&commit.commit, &home.chain).unwrap(), Processed::Removed);
    }
    add.print("add", members);
    renew.print("renew", members);
    remove.print("remove", members);
    println!(
        "e2ee: group members={members} key_package_ms={:.2} key_package_bytes={package_bytes} state_bytes={state_bytes}",
        Times::sorted(package).ms()
    );
}

impl Measured {
    fn sizes(&mut self, commit: &[u8], welcome: &[u8]) {
        (self.commit_bytes, self.welcome_bytes) = (commit.len(), welcome.len());
    }

    fn follow(&mut self, witness: &mut Option<Member>, commit: &[u8], home: &Household) {
        let Some(member) = witness else { return };
        let begin = Instant::now();
        let processed = member.process(commit, &home.chain).unwrap();
        self.receive.push(begin.elapsed());
        assert!(matches!(processed, Processed::Epoch(_)));
    }

    fn print(self, what: &str, members: usize) {
        let mut row =
            format!("e2ee: {what} members={members} commit_ms={:.2}", Times::sorted(self.commit).ms());
        if !self.receive.is_empty() {
            row += &format!(" receive_ms={:.2}", Times::sorted(self.receive).ms());
        }
        if !self.join.is_empty() {
            row += &format!(" join_ms={:.2}", Times::sorted(self.join).ms());
        }
        row += &format!(" commit_bytes={}", self.commit_bytes);
        if self.welcome_bytes > 0 {
            row += &format!(" welcome_bytes={}", self.welcome_bytes);
        }
        println!("{row}");
    }
}
