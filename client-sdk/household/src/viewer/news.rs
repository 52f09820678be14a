//! What the keeper of a viewer's group tells the task that opens the frames.

use latchkey_e2ee::key_schedule::EpochKeys;
use latchkey_e2ee::kid::Kid;
use web_time::Instant;

/// One piece of news, in the order in which it became known.
pub enum News {
    /// Keys of an epoch.
    Epoch {
        /// The keys.
        keys: EpochKeys,
        /// The commit that began the epoch removed a member: keys of the epochs before are kept only for frames
        /// that may still be on their way.
        removed: bool,
    },
    /// The camera's signed record says where an epoch ended.
    Ended {
        /// The epoch that is over.
        epoch: u64,
        /// The last counter of each key id of the camera's run that sealed frames in it.
        last: Vec<(Kid, u64)>,
    },
    /// The camera answered this device's question whether its frames are fresh.
    Answered {
        /// When the question was sent.
        asked: Instant,
        /// When the answer came.
        answered: Instant,
        /// The camera's clock when it answered, in milliseconds since the Unix epoch.
        camera_ms: u64,
        /// The next counter of each key id that the camera had in use.
        counters: Vec<(Kid, u64)>,
    },
    /// The camera's Ed25519 key, from its entry in the list: what it signs its frames with.
    CameraKey([u8; 32]),
}
