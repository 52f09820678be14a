//! Where a track's samples lie and when they are due: the sample tables (ISO/IEC 14496-12 section 8.6 and 8.7) and, in
//! fragmented files, the track runs (section 8.8).

use crate::source::mp4::boxes::{Broken, Cursor, Mp4Box, child};

/// One sample of a track; times in the track's timescale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) offset: u64,
    pub(crate) size: u32,
    pub(crate) decode_time: u64,
    pub(crate) composition_offset: i64,
    pub(crate) duration: u32,
}

impl Sample {
    pub(crate) fn composition_time(&self) -> i64 {
        i64::try_from(self.decode_time).unwrap_or(i64::MAX).saturating_add(self.composition_offset)
    }
}

/// Reads the tables of a `stbl` box. A fragmented file has them empty.
pub(crate) fn from_tables(stbl: &Mp4Box<'_>, file_length: usize) -> Result<Vec<Sample>, Broken> {
    let tables = stbl.children(0)?;
    let sizes = sizes(&tables, file_length)?;
    let offsets = chunk_offsets(&tables)?;
    let mut samples = Vec::with_capacity(sizes.len());
    let mut sizes = sizes.into_iter();
    let runs = chunk_runs(&tables)?;
    for (index, run) in runs.iter().enumerate() {
        let next = runs.get(index + 1).map_or(offsets.len(), |next| next.first_chunk);
        let chunks = offsets.get(run.first_chunk..next).ok_or(Broken("chunk table"))?;
        for chunk in chunks {
            let mut offset = *chunk;
            for size in sizes.by_ref().take(run.samples) {
                samples.push(Sample { offset, size, decode_time: 0, composition_offset: 0, duration: 0 });
                offset = offset.saturating_add(size.into());
            }
        }
    }
    if sizes.next().is_some() {
        return Err(Broken("fewer chunks than samples"));
    }
    set_times(&tables, &mut samples)?;
    Ok(samples)
}

struct ChunkRun {
    /// Counted from 0.
    first_chunk: usize,
    samples: usize,
}

fn chunk_runs(tables: &[Mp4Box<'_>]) -> Result<Vec<ChunkRun>, Broken> {
    let mut cursor = child(tables, b"stsc").ok_or(Broken("no stsc"))?.cursor();
    cursor.version_and_flags()?;
    (0..cursor.count(12)?)
        .map(|_| {
            let first_chunk = cursor.u32()?.checked_sub(1).ok_or(Broken("chunk table"))? as usize;
            let samples = cursor.u32()? as usize;
            cursor.u32()?;
            Ok(ChunkRun { first_chunk, samples })
        })
        .collect()
}

fn chunk_offsets(tables: &[Mp4Box<'_>]) -> Result<Vec<u64>, Broken> {
    if let Some(stco) = child(tables, b"stco") {
        let mut cursor = stco.cursor();
        cursor.version_and_flags()?;
        return (0..cursor.count(4)?).map(|_| cursor.u32().map(u64::from)).collect();
    }
    let mut cursor = child(tables, b"co64").ok_or(Broken("no stco"))?.cursor();
    cursor.version_and_flags()?;
    (0..cursor.count(8)?).map(|_| cursor.u64()).collect()
}

fn sizes(tables: &[Mp4Box<'_>], file_length: usize) -> Result<Vec<u32>, Broken> {
    let mut cursor = child(tables, b"stsz").ok_or(Broken("no stsz"))?.cursor();
    cursor.version_and_flags()?;
    let same = cursor.u32()?;
    if same == 0 {
        return (0..cursor.count(4)?).map(|_| cursor.u32()).collect();
    }
    let count = cursor.u32()? as usize;
    if count.saturating_mul(same as usize) > file_length {
        return Err(Broken("more samples than the file has room for"));
    }
    Ok(vec![same; count])
}

fn set_times(tables: &[Mp4Box<'_>], samples: &mut [Sample]) -> Result<(), Broken> {
    let mut cursor = child(tables, b"stts").ok_or(Broken("no stts"))?.cursor();
    cursor.version_and_flags()?;
    let mut remaining = samples.iter_mut();
    let mut now = 0_u64;
    for _ in 0..cursor.count(8)? {
        let (count, delta) = (cursor.u32()?, cursor.u32()?);
        for sample in remaining.by_ref().take(count as usize) {
            sample.decode_time = now;
            sample.duration = delta;
            now = now.saturating_add(delta.into());
        }
    }
    if remaining.next().is_some() {
        return Err(Broken("fewer times than samples"));
    }
    let Some(ctts) = child(tables, b"ctts") else {
        return Ok(());
    };
    let mut cursor = ctts.cursor();
    cursor.version_and_flags()?;
    let mut remaining = samples.iter_mut();
    for _ in 0..cursor.count(8)? {
        let (count, offset) = (cursor.u32()?, cursor.u32()?.cast_signed());
        for sample in remaining.by_ref().take(count as usize) {
            sample.composition_offset = i64::from(offset);
        }
    }
    Ok(())
}

/// Values a fragment's samples have where the run does not say otherwise (`trex`).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Defaults {
    pub(crate) duration: u32,
    pub(crate) size: u32,
}

/// Reads the defaults of `track` from a `mvex` box.
pub(crate) fn defaults(mvex: Option<Mp4Box<'_>>, track: u32) -> Result<Defaults, Broken> {
    for trex in mvex.map_or(Ok(Vec::new()), |mvex| mvex.children(0))? {
        let mut cursor = trex.cursor();
        if trex.kind != *b"trex" {
            continue;
        }
        cursor.version_and_flags()?;
        if cursor.u32()? == track {
            cursor.u32()?;
            return Ok(Defaults { duration: cursor.u32()?, size: cursor.u32()? });
        }
    }
    Ok(Defaults::default())
}

/// A track whose samples are looked for in fragments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FragmentedTrack {
    pub(crate) id: u32,
    pub(crate) defaults: Defaults,
    pub(crate) file_length: usize,
}

/// Appends the samples of `track` that a `moof` box lists.
pub(crate) fn from_fragment(
    moof: &Mp4Box<'_>,
    track: FragmentedTrack,
    samples: &mut Vec<Sample>,
) -> Result<(), Broken> {
    // Without a base of its own, a track's data follows that of the track before it (section 8.8.7.1).
    let mut end_of_previous = moof.start as u64;
    for traf in moof.children(0)? {
        if traf.kind != *b"traf" {
            continue;
        }
        let boxes = traf.children(0)?;
        let header = Fragment::read(
            child(&boxes, b"tfhd").ok_or(Broken("no tfhd"))?.cursor(),
            moof.start as u64,
            end_of_previous,
            track.defaults,
        )?;
        let mut run = Run {
            header,
            now: start_time(&boxes)?
                .or_else(|| samples.last().map(|last| last.decode_time.saturating_add(last.duration.into())))
                .unwrap_or(0),
            data: header.base,
            file_length: track.file_length as u64,
        };
        let mut discarded = Vec::new();
        let into = if header.track == track.id { &mut *samples } else { &mut discarded };
        for trun in boxes.iter().filter(|found| found.kind == *b"trun") {
            run.read(trun.cursor(), into)?;
        }
        end_of_previous = run.data;
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Fragment {
    track: u32,
    base: u64,
    defaults: Defaults,
}

impl Fragment {
    fn read(
        mut tfhd: Cursor<'_>,
        moof: u64,
        end_of_previous: u64,
        mut defaults: Defaults,
    ) -> Result<Self, Broken> {
        let (_, flags) = tfhd.version_and_flags()?;
        let track = tfhd.u32()?;
        let base = match (flags & 0x01 != 0, flags & 0x02_0000 != 0) {
            (true, _) => tfhd.u64()?,
            (false, true) => moof,
            (false, false) => end_of_previous,
        };
        if flags & 0x02 != 0 {
            tfhd.u32()?;
        }
        if flags & 0x08 != 0 {
            defaults.duration = tfhd.u32()?;
        }
        if flags & 0x10 != 0 {
            defaults.size = tfhd.u32()?;
        }
        Ok(Self { track, base, defaults })
    }
}

struct Run {
    header: Fragment,
    now: u64,
    data: u64,
    file_length: u64,
}

impl Run {
    fn read(&mut self, mut trun: Cursor<'_>, samples: &mut Vec<Sample>) -> Result<(), Broken> {
        let (_, flags) = trun.version_and_flags()?;
        let count = trun.u32()?;
        if flags & 0x01 != 0 {
            let offset = i64::from(trun.u32()?.cast_signed());
            self.data = self.header.base.checked_add_signed(offset).ok_or(Broken("track run"))?;
        }
        if flags & 0x04 != 0 {
            trun.u32()?;
        }
        let mut field = |flag: u32, default: u32| {
            if flags & flag != 0 { trun.u32() } else { Ok(default) }
        };
        for _ in 0..count {
            let duration = field(0x100, self.header.defaults.duration)?;
            let size = field(0x200, self.header.defaults.size)?;
            field(0x400, 0)?;
            let composition_offset = i64::from(field(0x800, 0)?.cast_signed());
            if size == 0 {
                return Err(Broken("track run"));
            }
            if self.data.saturating_add(size.into()) > self.file_length {
                return Ok(()); // cut off here, as when a recorder was killed
            }
            samples.push(Sample {
                offset: self.data,
                size,
                decode_time: self.now,
                composition_offset,
                duration,
            });
            self.data += u64::from(size);
            self.now = self.now.saturating_add(duration.into());
            if samples.len() > MOST_SAMPLES {
                return Err(Broken("more samples than the file has room for"));
            }
        }
        Ok(())
    }
}

fn start_time(boxes: &[Mp4Box<'_>]) -> Result<Option<u64>, Broken> {
    let Some(tfdt) = child(boxes, b"tfdt") else {
        return Ok(None);
    };
    let mut cursor = tfdt.cursor();
    Ok(Some(match cursor.version_and_flags()?.0 {
        0 => u64::from(cursor.u32()?),
        _ => cursor.u64()?,
    }))
}

/// A run without per-sample fields could claim any number; 80 hours at 30 a second is enough.
const MOST_SAMPLES: usize = 1 << 23;
