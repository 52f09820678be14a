//! Boxes of ISO/IEC 14496-12 section 4.2: size (32 bits), type (4 characters), optionally a 64-bit size, then content.
//!
//! Read here rather than by a crate: those at hand index tables without checks, so a damaged file would end the process.

/// One box: its type, its content and where the box itself begins in the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mp4Box<'a> {
    pub(crate) kind: [u8; 4],
    pub(crate) content: &'a [u8],
    pub(crate) start: usize,
}

/// A box whose content contradicts itself; names the part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken(pub(crate) &'static str);

/// The boxes in `bytes`, which begin at `base` in the file. The last one may be cut off by the file's end.
pub(crate) fn boxes(bytes: &[u8], base: usize) -> Result<Vec<Mp4Box<'_>>, Broken> {
    let mut found = Vec::new();
    let mut at = 0;
    while bytes.len() - at >= 8 {
        let mut cursor = Cursor::new(&bytes[at..]);
        let small = cursor.u32()?;
        let kind = cursor.array()?;
        let (size, header) = match small {
            0 => (bytes.len() - at, 8),
            1 => (usize::try_from(cursor.u64()?).map_err(|_| Broken("box size"))?, 16),
            _ => (small as usize, 8),
        };
        if size < header {
            return Err(Broken("box size"));
        }
        let end = at.saturating_add(size).min(bytes.len());
        found.push(Mp4Box { kind, content: &bytes[at + header..end], start: base + at });
        at = end;
    }
    Ok(found)
}

impl<'a> Mp4Box<'a> {
    /// The boxes inside, behind `skip` bytes of the box's own fields.
    pub(crate) fn children(&self, skip: usize) -> Result<Vec<Mp4Box<'a>>, Broken> {
        boxes(self.content.get(skip..).ok_or(Broken("box size"))?, 0)
    }

    /// Follows a path of box types downwards, taking the first of each.
    pub(crate) fn descend(&self, path: &[&[u8; 4]]) -> Result<Mp4Box<'a>, Broken> {
        path.iter().try_fold(*self, |parent, kind| {
            child(&parent.children(0)?, kind).ok_or(Broken("a box is missing"))
        })
    }

    /// Reads the content from its start.
    pub(crate) fn cursor(&self) -> Cursor<'a> {
        Cursor::new(self.content)
    }
}

/// The first box of a type.
pub(crate) fn child<'a>(boxes: &[Mp4Box<'a>], kind: &[u8; 4]) -> Option<Mp4Box<'a>> {
    boxes.iter().find(|found| found.kind == *kind).copied()
}

/// Reads big-endian numbers; fails at the end of the bytes.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Broken> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Broken("a box is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        let taken = self.bytes(N)?;
        Ok(taken.try_into().expect("N bytes were taken"))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Broken> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Broken> {
        self.array().map(u64::from_be_bytes)
    }

    /// Version and flags of a full box.
    pub(crate) fn version_and_flags(&mut self) -> Result<(u8, u32), Broken> {
        let word = self.u32()?;
        Ok(((word >> 24) as u8, word & 0x00ff_ffff))
    }

    /// A count of records of `size` bytes each that must fit into what is left.
    pub(crate) fn count(&mut self, size: usize) -> Result<usize, Broken> {
        let count = self.u32()? as usize;
        if count.checked_mul(size).is_none_or(|bytes| bytes > self.0.len()) {
            return Err(Broken("a table is cut off"));
        }
        Ok(count)
    }
}
