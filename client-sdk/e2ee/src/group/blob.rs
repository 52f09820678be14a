//! The bytes of a stored state: a magic, then fields with their lengths. Erased when dropped.

use zeroize::Zeroizing;

use super::error::GroupError;

/// Writes fields behind a magic of 4 bytes.
pub(super) struct BlobWriter(Zeroizing<Vec<u8>>);

impl BlobWriter {
    /// `capacity` should hold everything, so that no copy of a secret is left behind by growing.
    pub(super) fn new(magic: [u8; 4], capacity: usize) -> Self {
        let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
        bytes.extend_from_slice(&magic);
        Self(bytes)
    }

    pub(super) fn field(&mut self, field: &[u8]) -> &mut Self {
        let needed = self.0.len() + 4 + field.len();
        if needed > self.0.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed * 2));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        let len = u32::try_from(field.len()).expect("a group's state is far below 4 GiB");
        self.0.extend_from_slice(&len.to_be_bytes());
        self.0.extend_from_slice(field);
        self
    }

    pub(super) fn finish(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

/// Reads the fields that [`BlobWriter`] wrote.
pub(super) struct BlobReader<'a>(&'a [u8]);

impl<'a> BlobReader<'a> {
    pub(super) fn new(magic: [u8; 4], bytes: &'a [u8]) -> Result<Self, GroupError> {
        bytes.strip_prefix(&magic).map(Self).ok_or(GroupError::Unreadable)
    }

    pub(super) fn field(&mut self) -> Result<&'a [u8], GroupError> {
        let (len, rest) = self.0.split_first_chunk::<4>().ok_or(GroupError::Unreadable)?;
        let len = u32::from_be_bytes(*len) as usize;
        let (field, rest) = rest.split_at_checked(len).ok_or(GroupError::Unreadable)?;
        self.0 = rest;
        Ok(field)
    }

    pub(super) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], GroupError> {
        self.field()?.try_into().map_err(|_| GroupError::Unreadable)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn end(&self) -> Result<(), GroupError> {
        if self.is_empty() { Ok(()) } else { Err(GroupError::Unreadable) }
    }
}
