//! Who watches what: every viewer has a camera, a member's device and a network, shared out evenly. No clock, no I/O.

use std::collections::{BTreeMap, HashSet};

use crate::crew::{CameraRef, MemberRef};
use crate::fleet::network::Profile;
use crate::fleet::{CameraId, ViewerId};
use crate::run::schedule::Crowd;
use crate::scenario::NetworkShare;

/// What one viewer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Number of its camera.
    pub camera: CameraId,
    /// Whose session it is; `household` and `member` 0 where the server knows no households.
    pub member: MemberRef,
    /// What lies between it and the server; none: nothing.
    pub network: Option<Profile>,
}

/// Where a viewer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It asked, or waits for its first frame.
    Joining,
    /// It has seen a frame.
    Watching,
    /// Its device was removed: it ought to see nothing new.
    Removed,
}

/// A network that some of the viewers meet.
#[derive(Clone, Copy, Debug)]
struct Network {
    profile: Option<Profile>,
    /// 0 to 1.
    share: f64,
    /// How many met it so far.
    met: u32,
}

/// Everybody who watches a run, and those who may.
#[derive(Clone, Debug)]
pub struct Cast {
    cameras: Vec<CameraRef>,
    /// The members of each household that may still watch.
    members: BTreeMap<u32, Vec<MemberRef>>,
    networks: Vec<Network>,
    viewers: BTreeMap<ViewerId, (Part, Standing)>,
    next: u32,
}

impl Cast {
    /// Returns a cast of nobody; viewers will be shared out over these cameras and members.
    #[must_use]
    pub fn new(cameras: Vec<CameraRef>, members: Vec<MemberRef>, networks: &[NetworkShare]) -> Self {
        let mut of_household: BTreeMap<u32, Vec<MemberRef>> = BTreeMap::new();
        for member in members {
            of_household.entry(member.household).or_default().push(member);
        }
        let network = |profile, share| Network { profile, share, met: 0 };
        let mut shares: Vec<Network> = networks
            .iter()
            .map(|given| network(Profile::from_name(&given.profile), given.share.0 / 100.0))
            .collect();
        let rest = 1.0 - shares.iter().map(|network| network.share).sum::<f64>();
        shares.push(network(None, rest.max(0.0)));
        Self { cameras, members: of_household, networks: shares, viewers: BTreeMap::new(), next: 0 }
    }

    /// Lets a new viewer join: at the camera with the fewest, as the member with the fewest; members that are about to be
    /// removed only where there is no other. None where nobody may watch.
    pub fn join(&mut self, pending: &HashSet<MemberRef>) -> Option<(ViewerId, Part)> {
        let mut at_camera = vec![0u32; self.cameras.len()];
        let mut of_member: BTreeMap<MemberRef, u32> = BTreeMap::new();
        for (part, standing) in self.viewers.values() {
            if *standing != Standing::Removed {
                at_camera[part.camera.0 as usize] += 1;
                *of_member.entry(part.member).or_default() += 1;
            }
        }
        let (camera, reference) = (0..).zip(&self.cameras).min_by_key(|(number, camera)| {
            let nobody = self.members.get(&camera.household).is_none_or(Vec::is_empty);
            (nobody, at_camera[*number as usize])
        })?;
        let members = self.members.get(&reference.household)?;
        let member = *members
            .iter()
            .min_by_key(|member| (pending.contains(member), of_member.get(member).copied().unwrap_or(0)))?;
        let part = Part { camera: CameraId(camera), member, network: self.next_network() };
        Some((self.enter(part), part))
    }

    /// Lets a viewer that lost its connection come back as a new one, in the same place.
    pub fn rejoin(&mut self, part: Part) -> ViewerId {
        self.enter(part)
    }

    /// Takes a viewer out; returns what it was, or none where it was out already.
    pub fn leave(&mut self, id: ViewerId) -> Option<(Part, Standing)> {
        self.viewers.remove(&id)
    }

    /// Notes that a viewer has seen its first frame; returns whether that is news.
    pub fn sees(&mut self, id: ViewerId) -> bool {
        match self.viewers.get_mut(&id) {
            Some((_, standing @ Standing::Joining)) => {
                *standing = Standing::Watching;
                true
            }
            _ => false,
        }
    }

    /// Notes that a member was removed; returns its viewers.
    pub fn remove(&mut self, member: MemberRef) -> Vec<ViewerId> {
        if let Some(members) = self.members.get_mut(&member.household) {
            members.retain(|other| *other != member);
        }
        let mut removed = Vec::new();
        for (id, (part, standing)) in &mut self.viewers {
            if part.member == member {
                *standing = Standing::Removed;
                removed.push(*id);
            }
        }
        removed
    }

    /// Returns the next member to remove, and none where every household is down to one: from the household with the most,
    /// one that watches where there is one. `pending` are being removed already.
    #[must_use]
    pub fn to_remove(&self, pending: &HashSet<MemberRef>) -> Option<MemberRef> {
        let left = |members: &&Vec<MemberRef>| members.iter().filter(|it| !pending.contains(it)).count();
        let members = self.members.values().filter(|members| left(members) > 1).max_by_key(left)?;
        let watching: HashSet<MemberRef> = self.viewers.values().map(|(part, _)| part.member).collect();
        let mut free = members.iter().rev().filter(|member| !pending.contains(member));
        free.clone().find(|member| watching.contains(member)).or_else(|| free.next()).copied()
    }

    /// Returns so many viewers that watch: those that came first.
    #[must_use]
    pub fn first(&self, count: u32) -> Vec<ViewerId> {
        self.watching().take(count as usize).collect()
    }

    /// Returns so many viewers that watch, evenly spread over all of them.
    #[must_use]
    pub fn spread(&self, count: u32) -> Vec<ViewerId> {
        let all: Vec<ViewerId> = self.watching().collect();
        let count = (count as usize).min(all.len());
        (0..count).map(|index| all[index * all.len() / count]).collect()
    }

    /// Returns the viewers of a member at a camera.
    #[must_use]
    pub fn at(&self, camera: CameraId, member: MemberRef) -> Vec<ViewerId> {
        let theirs =
            self.viewers.iter().filter(|(_, (part, _))| part.camera == camera && part.member == member);
        theirs.map(|(id, _)| *id).collect()
    }

    /// Returns what a viewer is and where it stands.
    #[must_use]
    pub fn get(&self, id: ViewerId) -> Option<(Part, Standing)> {
        self.viewers.get(&id).copied()
    }

    /// Returns the number of a camera.
    #[must_use]
    pub fn number_of(&self, camera: CameraRef) -> Option<CameraId> {
        let index = self.cameras.iter().position(|other| *other == camera)?;
        Some(CameraId(index as u32))
    }

    /// Returns what a number stands for.
    #[must_use]
    pub fn camera(&self, id: CameraId) -> Option<CameraRef> {
        self.cameras.get(id.0 as usize).copied()
    }

    /// Returns how many there are; removed ones do not count.
    #[must_use]
    pub fn crowd(&self) -> Crowd {
        let count = |wanted| self.viewers.values().filter(|(_, standing)| *standing == wanted).count() as u32;
        Crowd { watching: count(Standing::Watching), joining: count(Standing::Joining) }
    }

    /// Returns everybody, removed ones too.
    pub fn all(&self) -> impl Iterator<Item = ViewerId> {
        self.viewers.keys().copied()
    }

    fn watching(&self) -> impl Iterator<Item = ViewerId> {
        let watching = self.viewers.iter().filter(|(_, (_, standing))| *standing == Standing::Watching);
        watching.map(|(id, _)| *id)
    }

    fn enter(&mut self, part: Part) -> ViewerId {
        let id = ViewerId(self.next);
        self.next += 1;
        self.viewers.insert(id, (part, Standing::Joining));
        id
    }

    /// The network that has the fewest viewers for its share.
    fn next_network(&mut self) -> Option<Profile> {
        let all: u32 = self.networks.iter().map(|network| network.met).sum();
        let debt = |network: &Network| network.share * f64::from(all + 1) - f64::from(network.met);
        let next = self.networks.iter_mut().max_by(|a, b| debt(a).total_cmp(&debt(b)))?;
        next.met += 1;
        next.profile
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::units::Percent;

    fn cast(households: u32, members: u32, networks: &[(&str, f64)]) -> Cast {
        let cameras = (0..households).map(|household| CameraRef { household, camera: 0 }).collect();
        let members = (0..households)
            .flat_map(|household| (0..members).map(move |member| MemberRef { household, member }))
            .collect();
        let networks: Vec<NetworkShare> = networks
            .iter()
            .map(|(profile, share)| NetworkShare { profile: (*profile).to_owned(), share: Percent(*share) })
            .collect();
        Cast::new(cameras, members, &networks)
    }

    #[test]
    fn viewers_are_shared_out_over_cameras_and_members() {
        let mut cast = cast(4, 3, &[]);
        let parts: Vec<Part> = (0..12).map(|_| cast.join(&HashSet::new()).unwrap().1).collect();
        for household in 0..4 {
            let mut members: Vec<u32> = parts
                .iter()
                .filter(|part| part.member.household == household)
                .map(|part| part.member.member)
                .collect();
            members.sort_unstable();
            assert_eq!(members, [0, 1, 2]);
        }
        assert_eq!(cast.crowd(), Crowd { watching: 0, joining: 12 });
    }

    #[test]
    fn networks_are_met_by_their_shares() {
        let mut cast = cast(1, 1, &[("wifi", 50.0), ("cellular", 10.0)]);
        let mut count = BTreeMap::new();
        for _ in 0..100 {
            let network = cast.join(&HashSet::new()).unwrap().1.network.map_or("none", Profile::name);
            *count.entry(network).or_insert(0) += 1;
        }
        assert_eq!(count, BTreeMap::from([("cellular", 10), ("none", 40), ("wifi", 50)]));
    }

    #[test]
    fn a_removed_member_watches_no_more_and_each_household_keeps_one() {
        let mut cast = cast(2, 2, &[]);
        for _ in 0..4 {
            let (id, _) = cast.join(&HashSet::new()).unwrap();
            assert!(cast.sees(id) && !cast.sees(id));
        }
        let mut pending = HashSet::new();
        let first = cast.to_remove(&pending).unwrap();
        pending.insert(first);
        let second = cast.to_remove(&pending).unwrap();
        assert_ne!(first.household, second.household);
        pending.insert(second);
        assert_eq!(cast.to_remove(&pending), None);
        let removed = cast.remove(first);
        assert_eq!(removed.len(), 1);
        assert_eq!(cast.crowd().watching, 3);
        let (_, part) = cast.join(&HashSet::new()).unwrap();
        assert_eq!((part.member.household, part.member != first), (first.household, true));
        cast.remove(second);
        assert_eq!(cast.to_remove(&HashSet::new()), None);
    }

    #[test]
    fn those_who_leave_came_first_and_a_storm_hits_everywhere() {
        let mut cast = cast(1, 1, &[]);
        for _ in 0..10 {
            let (id, _) = cast.join(&HashSet::new()).unwrap();
            cast.sees(id);
        }
        cast.join(&HashSet::new());
        assert_eq!(cast.first(2), [ViewerId(0), ViewerId(1)]);
        assert_eq!(cast.spread(5), [0, 2, 4, 6, 8].map(ViewerId));
        let (part, _) = cast.leave(ViewerId(0)).unwrap();
        assert_eq!(cast.leave(ViewerId(0)), None);
        assert_eq!(cast.rejoin(part), ViewerId(11));
    }
}
