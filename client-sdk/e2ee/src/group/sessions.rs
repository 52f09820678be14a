//! The sessions of one sender: a number for each run of the camera that no other run of the epoch has.

use super::blob::{BlobReader, BlobWriter};
use super::error::GroupError;
use crate::kid::SenderSession;

/// Counts the runs of the camera. A lap of 65536 may begin once per epoch.
#[derive(Default)]
pub(super) struct Sessions {
    next: u16,
    lap_epoch: Option<u64>,
}

impl Sessions {
    /// Returns the session of the run that starts in `epoch`.
    pub(super) fn next(&mut self, epoch: u64) -> Result<SenderSession, GroupError> {
        if self.next == 0 {
            if self.lap_epoch == Some(epoch) {
                return Err(GroupError::SessionsExhausted);
            }
            self.lap_epoch = Some(epoch);
        }
        let mut random = [0; 2];
        getrandom::fill(&mut random).map_err(|_| GroupError::NoRandomness)?;
        // Relays refuse session 0: frames in the clear would look like it.
        let session = u32::from(self.next) << 16 | u32::from(u16::from_be_bytes(random).max(1));
        self.next = self.next.wrapping_add(1);
        Ok(SenderSession(session))
    }

    /// Appends the fields that [`Self::read`] takes.
    pub(super) fn save(&self, blob: &mut BlobWriter) {
        blob.field(&self.next.to_be_bytes());
        blob.field(&self.lap_epoch.map_or(Vec::new(), |epoch| epoch.to_be_bytes().to_vec()));
    }

    /// Reads what [`Self::save`] wrote.
    pub(super) fn read(blob: &mut BlobReader<'_>) -> Result<Self, GroupError> {
        let next = u16::from_be_bytes(blob.fixed()?);
        let lap_epoch = match blob.field()? {
            [] => None,
            epoch => Some(u64::from_be_bytes(epoch.try_into().map_err(|_| GroupError::Unreadable)?)),
        };
        Ok(Self { next, lap_epoch })
    }
}
