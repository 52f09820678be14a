//! The sessions of one sender: a number for each run of the camera that no other run of the epoch has.

use super::blob::{BlobReader, BlobWriter};
use super::error::GroupError;
use crate::kid::SenderSession;

/// Most starts of a camera in one epoch. Viewers remember the replay windows of more, so that they need not give up
/// one of a camera that starts often.
pub const MAX_SESSIONS: usize = 1024;

/// Remembers which sessions were used in the present epoch; a new one is drawn from all others.
#[derive(Default)]
pub(super) struct Sessions {
    epoch: u64,
    used: Vec<u32>,
}

impl Sessions {
    /// Returns the session of the run that starts in `epoch`.
    pub(super) fn next(&mut self, epoch: u64) -> Result<SenderSession, GroupError> {
        self.next_from(epoch, || {
            let mut random = [0; 4];
            getrandom::fill(&mut random).map_err(|_| GroupError::NoRandomness)?;
            Ok(u32::from_be_bytes(random))
        })
    }

    fn next_from(
        &mut self,
        epoch: u64,
        mut draw: impl FnMut() -> Result<u32, GroupError>,
    ) -> Result<SenderSession, GroupError> {
        if self.epoch != epoch {
            // The run that drew the last one may have gone on into this epoch.
            let over = self.used.len().saturating_sub(1);
            self.used.drain(..over);
            self.epoch = epoch;
        }
        if self.used.len() >= MAX_SESSIONS {
            return Err(GroupError::SessionsExhausted);
        }
        loop {
            // Relays refuse session 0: frames in the clear would look like it.
            let session = draw()?;
            if session != 0 && !self.used.contains(&session) {
                self.used.push(session);
                return Ok(SenderSession(session));
            }
        }
    }

    /// Appends the fields that [`Self::read`] takes.
    pub(super) fn save(&self, blob: &mut BlobWriter) {
        let used: Vec<u8> = self.used.iter().flat_map(|session| session.to_be_bytes()).collect();
        blob.field(&self.epoch.to_be_bytes());
        blob.field(&used);
    }

    /// Reads what [`Self::save`] wrote.
    pub(super) fn read(blob: &mut BlobReader<'_>) -> Result<Self, GroupError> {
        let epoch = u64::from_be_bytes(blob.fixed()?);
        let (used, []) = blob.field()?.as_chunks::<4>() else { return Err(GroupError::Unreadable) };
        if used.len() > MAX_SESSIONS {
            return Err(GroupError::Unreadable);
        }
        Ok(Self { epoch, used: used.iter().map(|session| u32::from_be_bytes(*session)).collect() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MAGIC: [u8; 4] = *b"test";

    fn restored(sessions: &Sessions) -> Sessions {
        let mut blob = BlobWriter::new(MAGIC, 0);
        sessions.save(&mut blob);
        Sessions::read(&mut BlobReader::new(MAGIC, &blob.finish()).unwrap()).unwrap()
    }

    #[test]
    fn what_was_used_in_the_epoch_is_drawn_again_whatever_the_system_says() {
        let mut sessions = Sessions::default();
        let mut drawn = [7, 7, 0, 8, 7, 8, 9, 9, 7].into_iter();
        let mut next = |sessions: &mut Sessions, epoch| {
            sessions
                .next_from(epoch, || drawn.next().ok_or(GroupError::NoRandomness))
                .map(|session| session.0)
        };
        assert_eq!(next(&mut sessions, 4), Ok(7));
        assert_eq!(next(&mut sessions, 4), Ok(8));
        let mut sessions = restored(&sessions);
        assert_eq!(next(&mut sessions, 4), Ok(9));
        assert_eq!(
            next(&mut sessions, 5),
            Ok(7),
            "of the epoch before only the last one may still be in use"
        );
        assert_eq!(next(&mut sessions, 5), Err(GroupError::NoRandomness));
    }

    /// A state from a backup does not know the runs since.
    #[test]
    fn states_from_one_backup_draw_from_all_sessions() {
        let mut backup = Sessions::default();
        backup.next(4).unwrap();
        let mut drawn: Vec<_> = (0..2000).map(|_| restored(&backup).next(4).unwrap().0).collect();
        drawn.sort_unstable();
        drawn.dedup();
        // Of 2000 out of 2^32 two are equal in one run of 2000, and two pairs in one of millions. Out of 2^16 some
        // 30 pairs would be.
        assert!(drawn.len() >= 1999, "{}", drawn.len());
    }

    #[test]
    fn an_epoch_has_so_many_and_the_next_one_as_many_again() {
        let mut sessions = Sessions::default();
        let mut all: Vec<_> = (0..MAX_SESSIONS).map(|_| sessions.next(4).unwrap()).collect();
        assert_eq!(sessions.next(4), Err(GroupError::SessionsExhausted));
        assert_eq!(restored(&sessions).next(4), Err(GroupError::SessionsExhausted));
        sessions.next(5).unwrap();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), MAX_SESSIONS);
    }
}
