//! Limits of one room, with defaults that suit a camera of 1 to 8 Mbit/s.

use std::time::Duration;

/// Limits and paces of a [`Room`](crate::room::Room). Every memory bound is per track unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomConfig {
    /// Most tracks in the room.
    pub tracks: usize,
    /// Most viewers in the room.
    pub subscribers: usize,
    /// Packets of video kept for repair and for joining viewers; rounded up to a power of two.
    pub video_packets: usize,
    /// Bytes of video kept, the bound that usually counts.
    pub video_bytes: usize,
    /// Packets of audio kept for repair; rounded up to a power of two.
    pub audio_packets: usize,
    /// Bytes of audio kept.
    pub audio_bytes: usize,
    /// A kept key frame older than this is not used for a joining viewer.
    pub gop_age: Duration,
    /// Packets that one joining viewer gets per [`catch_up_interval`](Self::catch_up_interval) until it is live.
    pub catch_up_packets: usize,
    /// Packets that all joining viewers together get per interval.
    pub catch_up_room_packets: usize,
    /// Time between two chunks for joining viewers.
    pub catch_up_interval: Duration,
    /// Shortest time between two key-frame requests towards the publisher, per track.
    pub key_frame_request_interval: Duration,
    /// A watched track without a key frame for so long gets one requested.
    pub key_frame_longest_gap: Duration,
    /// Shortest mean time between two key-frame requests that one viewer is granted; three in a row are allowed.
    pub key_frame_viewer_interval: Duration,
    /// Packets repeated per second and viewer leg in the long run; a second's worth may come at once.
    pub repairs_per_second: u32,
    /// How long a gap in the publisher's packets may be mere reordering.
    pub reorder_tolerance: Duration,
}

impl Default for RoomConfig {
    fn default() -> Self {
        Self {
            tracks: 4,
            subscribers: 4096,
            video_packets: 4096,
            video_bytes: 4 << 20,
            audio_packets: 256,
            audio_bytes: 64 << 10,
            gop_age: Duration::from_secs(10),
            catch_up_packets: 20,
            catch_up_room_packets: 1000,
            catch_up_interval: Duration::from_millis(5),
            key_frame_request_interval: Duration::from_secs(1),
            key_frame_longest_gap: Duration::from_secs(4),
            key_frame_viewer_interval: Duration::from_secs(2),
            repairs_per_second: 400,
            reorder_tolerance: Duration::from_millis(10),
        }
    }
}
