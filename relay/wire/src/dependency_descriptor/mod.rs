//! The Dependency Descriptor of the AV1 RTP specification (appendix A), used with every video codec.
//!
//! ```text
//!  0 1 2 3 4 5 6 7
//! +-+-+-+-+-+-+-+-+
//! |S|E| template  |   S start of frame, E end of frame
//! | frame number  |   16 bits
//! |T|A|D|F|C| ... |   only on longer ones; T: a template structure follows = key frame
//! ```
//!
//! The template of a packet means something only beside the structure that the last key frame brought, so
//! a [`Reader`] keeps it. It tells for which layers' viewers a frame is ([`Descriptor::needed_by`]) and where they may
//! change between layers; which earlier frames a frame needs (fdiffs, chains) is stepped over.

mod layer;
mod single_layer;
mod structure;
#[cfg(test)]
mod tests;

use crate::bits::{BitReader, Exhausted};

pub use layer::{Layer, LayerSet};
pub use single_layer::{SINGLE_LAYER_MAX_LEN, SingleLayer, write_single_layer};
pub use structure::Structure;

/// Why bytes are no Dependency Descriptor. The fault is the publisher's, or the structure was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptorError {
    /// The bytes end before the fields do.
    #[error("dependency descriptor is cut off")]
    Truncated,
    /// A layer number above what the specification allows.
    #[error("dependency descriptor has too many layers")]
    TooManyLayers,
    /// No structure was seen yet, or the template is not in it. The three [`Mandatory`] fields are still good.
    #[error("dependency descriptor names an unknown template")]
    UnknownTemplate,
}

/// The fields that every descriptor has in its first three bytes; they need no kept structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mandatory {
    /// First packet of a frame.
    pub start_of_frame: bool,
    /// Last packet of a frame.
    pub end_of_frame: bool,
    /// Template id, 0 to 63, before the structure's offset is taken off.
    pub template_id: u8,
    /// Number of the frame, wrapping.
    pub frame_number: u16,
}

impl Mandatory {
    /// Reads the first three bytes.
    ///
    /// # Errors
    /// [`DescriptorError::Truncated`].
    pub fn read(bytes: &[u8]) -> Result<Self, DescriptorError> {
        let [flags, high, low] = *bytes.first_chunk().ok_or(DescriptorError::Truncated)?;
        Ok(Self {
            start_of_frame: flags & START_BIT != 0,
            end_of_frame: flags & END_BIT != 0,
            template_id: flags & TEMPLATE_MASK,
            frame_number: u16::from_be_bytes([high, low]),
        })
    }

    fn to_bytes(self) -> [u8; MANDATORY_LEN] {
        let start = if self.start_of_frame { START_BIT } else { 0 };
        let end = if self.end_of_frame { END_BIT } else { 0 };
        let [high, low] = self.frame_number.to_be_bytes();
        [start | end | self.template_id & TEMPLATE_MASK, high, low]
    }
}

/// Returns whether a descriptor brings a structure, which only key frames do.
#[must_use]
pub fn has_structure(bytes: &[u8]) -> bool {
    bytes.len() > MANDATORY_LEN && bytes[MANDATORY_LEN] & STRUCTURE_BIT != 0
}

/// Gives the frame another number in place, as a relay does that dropped or switched frames.
///
/// Does nothing to fewer than three bytes.
pub fn rewrite_frame_number(bytes: &mut [u8], frame_number: u16) {
    if let Some(number) = bytes.get_mut(1..MANDATORY_LEN) {
        number.copy_from_slice(&frame_number.to_be_bytes());
    }
}

/// What a descriptor says about its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// The first three bytes.
    pub mandatory: Mandatory,
    /// This descriptor brought a structure: key frame.
    pub structure_attached: bool,
    /// Spatial layer, 0 to 3.
    pub spatial_id: u8,
    /// Temporal layer, 0 to 7.
    pub temporal_id: u8,
    /// Width and height in pixels of the frame's spatial layer, when the structure named them.
    pub resolution: Option<(u32, u32)>,
    /// Decode targets still sent, one bit each, when this descriptor names them.
    pub active_decode_targets: Option<u32>,
    /// Viewers of these layers need the frame.
    pub needed_by: LayerSet,
    /// A viewer who can decode the frame may go on with these layers from it.
    pub switches_to: LayerSet,
}

/// Reads the descriptors of one track in order and keeps its structure. Reading allocates nothing.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    structure: Option<Structure>,
}

impl Reader {
    /// Returns a reader that has seen no structure.
    #[must_use]
    pub const fn new() -> Self {
        Self { structure: None }
    }

    /// Returns the structure of the last key frame read.
    #[must_use]
    pub const fn structure(&self) -> Option<&Structure> {
        self.structure.as_ref()
    }

    /// Reads one descriptor and keeps the structure it brings.
    ///
    /// # Errors
    /// [`DescriptorError`]; the kept structure is then the old one.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Descriptor, DescriptorError> {
        let mandatory = Mandatory::read(bytes)?;
        let mut active_decode_targets = None;
        let mut attached = None;
        let mut custom = None;
        if bytes.len() > MANDATORY_LEN {
            let mut bits = BitReader::new(&bytes[MANDATORY_LEN..]);
            let has_structure = bits.flag()?;
            let has_active_targets = bits.flag()?;
            let has_custom_indications = bits.flag()?;
            skip(&mut bits, CUSTOM_FLAGS - 1)?;
            if has_structure {
                attached = Some(Structure::read(&mut bits)?);
            }
            if has_active_targets {
                let structure = attached.as_ref().or(self.structure.as_ref());
                let targets = structure.ok_or(DescriptorError::UnknownTemplate)?;
                active_decode_targets = Some(bits.bits(targets.decode_target_count())?);
            }
            if has_custom_indications {
                let structure = attached.as_ref().or(self.structure.as_ref());
                let structure = structure.ok_or(DescriptorError::UnknownTemplate)?;
                custom = Some(structure.read_role(&mut bits)?);
            }
        }
        let structure = attached.as_ref().or(self.structure.as_ref());
        let structure = structure.ok_or(DescriptorError::UnknownTemplate)?;
        let (layer, role) = structure.template(mandatory.template_id)?;
        let role = custom.unwrap_or(role);
        let descriptor = Descriptor {
            mandatory,
            structure_attached: attached.is_some(),
            spatial_id: layer.spatial,
            temporal_id: layer.temporal,
            resolution: structure.resolution(layer.spatial),
            active_decode_targets,
            needed_by: role.needed_by,
            switches_to: role.switches_to,
        };
        if attached.is_some() {
            self.structure = attached;
        }
        Ok(descriptor)
    }
}

fn skip(bits: &mut BitReader<'_>, mut count: u32) -> Result<(), Exhausted> {
    while count > 0 {
        let step = count.min(32);
        bits.bits(step)?;
        count -= step;
    }
    Ok(())
}

impl From<Exhausted> for DescriptorError {
    fn from(_: Exhausted) -> Self {
        Self::Truncated
    }
}

const MANDATORY_LEN: usize = 3;
const START_BIT: u8 = 0x80;
const END_BIT: u8 = 0x40;
const TEMPLATE_MASK: u8 = 0x3F;
const STRUCTURE_BIT: u8 = 0x80;
/// custom_dtis_flag, custom_fdiffs_flag, custom_chains_flag: what they announce lies behind all we read.
const CUSTOM_FLAGS: u32 = 3;
