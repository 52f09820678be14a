//! The steps of which a run is made, and how they are drawn.

use latchkey_api::device_list::Role;
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Time passes.
    Hours(u8),
    Camera(CameraStep),
    Device(u8, DeviceStep),
    /// One of the admins, by the newest list.
    Admin(u8, AdminStep),
    /// A signed list that came second is shown around.
    ShowRefused(u8),
}

#[derive(Clone, Copy, Debug)]
pub enum CameraStep {
    /// All that a camera does when nothing goes wrong.
    Round,
    Start,
    Crash,
    Lists(u8),
    Sync {
        renew: bool,
    },
    SyncWithStrangers,
    Save,
    Send {
        answered: bool,
    },
    Read(u8),
    ReadAt(u8),
    Seal(u8),
    /// Signs the record of its epoch, or sends it again.
    Record {
        ends: Ends,
    },
    Note {
        ends: Ends,
    },
}

/// Whether a process ends while it sends a note.
#[derive(Clone, Copy, Debug)]
pub enum Ends {
    Never,
    BeforeSaving,
    BeforeSending,
    AfterSending,
}

#[derive(Clone, Copy, Debug)]
pub enum DeviceStep {
    /// All that a phone does when nothing goes wrong.
    Round,
    Start,
    Crash,
    Lists(u8),
    Publish {
        last_resort: bool,
        ends_before: bool,
    },
    Welcomes {
        ends_before: bool,
    },
    Read(u8),
    ReadAt(u8),
    Update {
        saves: bool,
        posts: bool,
    },
    Note {
        ends: Ends,
    },
    /// Looks at frames that it has not looked at; loses and swaps some of them.
    Watch {
        count: u8,
        loses: u8,
        swaps: bool,
    },
}

#[derive(Clone, Copy, Debug)]
pub enum AdminStep {
    Sign(Change),
    Post { answered: bool },
    Remove,
    Send { answered: bool },
}

#[derive(Clone, Copy, Debug)]
pub enum Change {
    Enrol(Role),
    EnrolGuest {
        hours: u8,
    },
    Remove(u8),
    /// A removed device is listed again, as a viewer.
    Restore(u8),
    ResetCamera,
    /// Two histories become one.
    Join,
}

/// Between none and `longest` steps.
pub fn steps(longest: usize) -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 0..=longest)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (1u8..40).prop_map(Step::Hours),
        10 => camera_step().prop_map(Step::Camera),
        9 => (any::<u8>(), device_step()).prop_map(|(which, step)| Step::Device(which, step)),
        7 => (any::<u8>(), admin_step()).prop_map(|(which, step)| Step::Admin(which, step)),
        1 => any::<u8>().prop_map(Step::ShowRefused),
    ]
}

/// Often yes, sometimes no.
fn mostly() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.7)
}

fn ends() -> impl Strategy<Value = Ends> {
    prop_oneof![
        3 => Just(Ends::Never),
        1 => Just(Ends::BeforeSaving),
        1 => Just(Ends::BeforeSending),
        1 => Just(Ends::AfterSending),
    ]
}

/// One, some, or all that there is.
fn some() -> impl Strategy<Value = u8> {
    prop_oneof![Just(1u8), 1u8..4, Just(u8::MAX)]
}

fn camera_step() -> impl Strategy<Value = CameraStep> {
    prop_oneof![
        5 => Just(CameraStep::Round),
        4 => Just(CameraStep::Start),
        2 => Just(CameraStep::Crash),
        3 => some().prop_map(CameraStep::Lists),
        4 => any::<bool>().prop_map(|renew| CameraStep::Sync { renew }),
        1 => Just(CameraStep::SyncWithStrangers),
        2 => Just(CameraStep::Save),
        5 => mostly().prop_map(|answered| CameraStep::Send { answered }),
        3 => some().prop_map(CameraStep::Read),
        1 => (0u8..12).prop_map(CameraStep::ReadAt),
        5 => (1u8..4).prop_map(CameraStep::Seal),
        3 => ends().prop_map(|ends| CameraStep::Record { ends }),
        2 => ends().prop_map(|ends| CameraStep::Note { ends }),
    ]
}

fn device_step() -> impl Strategy<Value = DeviceStep> {
    let publish = (any::<bool>(), prop::bool::weighted(0.2));
    let update = (mostly(), mostly());
    let watch = (some(), 0u8..8, any::<bool>());
    prop_oneof![
        5 => Just(DeviceStep::Round),
        4 => Just(DeviceStep::Start),
        2 => Just(DeviceStep::Crash),
        3 => some().prop_map(DeviceStep::Lists),
        2 => publish.prop_map(|(last_resort, ends_before)| DeviceStep::Publish { last_resort, ends_before }),
        3 => prop::bool::weighted(0.2).prop_map(|ends_before| DeviceStep::Welcomes { ends_before }),
        4 => some().prop_map(DeviceStep::Read),
        2 => (0u8..12).prop_map(DeviceStep::ReadAt),
        2 => update.prop_map(|(saves, posts)| DeviceStep::Update { saves, posts }),
        3 => ends().prop_map(|ends| DeviceStep::Note { ends }),
        4 => watch.prop_map(|(count, loses, swaps)| DeviceStep::Watch { count, loses, swaps }),
    ]
}

fn admin_step() -> impl Strategy<Value = AdminStep> {
    prop_oneof![
        4 => change().prop_map(AdminStep::Sign),
        4 => mostly().prop_map(|answered| AdminStep::Post { answered }),
        2 => Just(AdminStep::Remove),
        2 => mostly().prop_map(|answered| AdminStep::Send { answered }),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => prop_oneof![Just(Role::Viewer), Just(Role::Admin)].prop_map(Change::Enrol),
        2 => (0u8..48).prop_map(|hours| Change::EnrolGuest { hours }),
        5 => any::<u8>().prop_map(Change::Remove),
        1 => any::<u8>().prop_map(Change::Restore),
        1 => Just(Change::ResetCamera),
        1 => Just(Change::Join),
    ]
}
