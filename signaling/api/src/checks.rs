//! Switches that take away one check of a hostile server at a time, so that a test can show what each check is for.
//!
//! Only test builds have them: without the feature `check-switches`, [`skipped`] is a constant `false` and
//! the compiler removes what asks it. Nothing in a file, an argument or the environment turns a check off;
//! a test does it in its own process, for as long as it holds the guard of `skip`.

/// One thing that an honest device checks, because a server or a relay may lie about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Check {
    /// A device list is signed by who may sign it.
    ListSignature,
    /// The server shows every list that was pinned before.
    ListPinned,
    /// No two lists of one version are signed.
    ListHistories,
    /// The server shows the newest list that a member of the group knows.
    ListShown,
    /// Commits and proposals come from members only.
    OutsideSender,
    /// The roster after a commit, and that of a Welcome, is what the named list entitles.
    Roster,
    /// A key package carries the key that the list has for its device.
    KeyPackage,
    /// A Welcome leads to a later epoch than the one that the device is in.
    WelcomeLater,
    /// A commit that was refused, or is no commit, says so loudly.
    CommitSlot,
    /// Two members of one epoch have the same group.
    OneGroup,
    /// The camera answers a nonce while its frames come.
    CameraAnswers,
    /// A frame is no older than the camera's answer allows.
    FrameDelay,
    /// A frame is no older than the counters of the camera's answer.
    FrameReplay,
    /// A frame is opened under the key of the camera that the viewer asked for.
    FrameKey,
    /// A frame's envelope is there, and is the one that was sealed.
    FrameEnvelope,
    /// A frame is in a checkpoint that the camera signed.
    FrameSigned,
}

#[cfg(feature = "check-switches")]
pub use switches::{Guard, skip, skipped};

/// Returns whether a test has switched the check off: never, in this build.
#[cfg(not(feature = "check-switches"))]
#[inline(always)]
#[must_use]
pub const fn skipped(_: Check) -> bool {
    false
}

#[cfg(feature = "check-switches")]
mod switches {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::Check;

    static OFF: AtomicU32 = AtomicU32::new(0);

    /// Returns whether a test has switched the check off in this process.
    #[must_use]
    pub fn skipped(check: Check) -> bool {
        OFF.load(Ordering::SeqCst) & bit(check) != 0
    }

    /// Switches a check off, in the whole process, until the guard is dropped.
    #[must_use = "the check is on again when the guard is dropped"]
    pub fn skip(check: Check) -> Guard {
        let before = OFF.fetch_or(bit(check), Ordering::SeqCst);
        Guard { set: bit(check) & !before }
    }

    /// Keeps a check switched off.
    #[derive(Debug)]
    pub struct Guard {
        /// The bit, unless another guard had set it before.
        set: u32,
    }

    impl Drop for Guard {
        fn drop(&mut self) {
            OFF.fetch_and(!self.set, Ordering::SeqCst);
        }
    }

    const fn bit(check: Check) -> u32 {
        1 << check as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(not(feature = "check-switches"))]
    #[test]
    fn a_build_without_switches_checks_always() {
        const CHECKED: bool = !skipped(Check::ListSignature);
        const { assert!(CHECKED) };
    }

    #[cfg(feature = "check-switches")]
    #[test]
    fn a_check_is_off_while_its_guard_lives() {
        // A check that no other test of this crate runs into.
        let check = Check::FrameEnvelope;
        assert!(!skipped(check));
        let guard = skip(check);
        let inner = skip(check);
        drop(inner);
        assert!(skipped(check), "the outer guard still holds");
        assert!(!skipped(Check::FrameSigned));
        drop(guard);
        assert!(!skipped(check));
    }
}
