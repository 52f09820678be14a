//! One stretch of a run: what was counted and recorded in it.

use std::time::Duration;

use crate::measure::latency::Latency;
use crate::measure::tally::{CameraTally, IntruderTally, JoinTally, ViewerTally};

/// What a fleet counted in some time; windows that follow each other, or of several drivers, add up.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// How long it was. Windows of drivers that ran side by side are told as one by [`Window::beside`].
    pub length: Duration,
    /// Viewers that watched at its end.
    pub viewers: u64,
    /// Cameras that sent at its end.
    pub cameras: u64,
    /// What viewers counted.
    pub viewer: ViewerTally,
    /// What cameras counted.
    pub camera: CameraTally,
    /// How joins went.
    pub joins: JoinTally,
    /// What intruders got.
    pub intruders: IntruderTally,
    /// Camera's send call to the viewer's socket (the kernel's stamp), last packet of each opened frame.
    pub frame_latency: Latency,
    /// The same of every packet of an opened frame.
    pub packet_latency: Latency,
    /// From the beginning of a join (asking for the grant) to the first opened frame.
    pub first_frame: Latency,
    /// From the admin's word to the camera's next epoch.
    pub removal: Latency,
    /// CPU time of the threads that drive cameras and viewers.
    pub driver_cpu: Duration,
}

impl Window {
    /// Adds one that came after this: the length grows, and who is there at the end is who is there.
    pub fn then(&mut self, later: &Self) {
        self.length += later.length;
        (self.viewers, self.cameras) = (later.viewers, later.cameras);
        self.add_counts(later);
    }

    /// Adds one of the same time, of another driver.
    pub fn beside(&mut self, other: &Self) {
        self.length = self.length.max(other.length);
        self.viewers += other.viewers;
        self.cameras += other.cameras;
        self.add_counts(other);
    }

    fn add_counts(&mut self, more: &Self) {
        self.viewer.add(&more.viewer);
        self.camera.add(&more.camera);
        self.joins.add(&more.joins);
        self.intruders.add(&more.intruders);
        self.frame_latency.add(&more.frame_latency);
        self.packet_latency.add(&more.packet_latency);
        self.first_frame.add(&more.first_frame);
        self.removal.add(&more.removal);
        self.driver_cpu += more.driver_cpu;
    }
}
