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
//! a [`Reader`] keeps it. Which earlier frames a frame needs (fdiffs, chains, decode target indications) is
//! stepped over: one spatial layer is sent today.

#[cfg(test)]
mod tests;

use crate::bits::{BitReader, BitWriter, Exhausted};

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
}

/// The template structure of the last key frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Structure {
    template_id_offset: u8,
    template_count: u8,
    decode_target_count: u8,
    max_spatial_id: u8,
    max_temporal_id: u8,
    /// Spatial and temporal layer of each template.
    layers: [(u8, u8); MAX_TEMPLATES],
    resolutions: Option<[(u16, u16); MAX_SPATIAL_LAYERS]>,
}

impl Structure {
    /// Returns how many spatial layers there are, 1 to 4.
    #[must_use]
    pub const fn spatial_layers(&self) -> u8 {
        self.max_spatial_id + 1
    }

    /// Returns how many temporal layers there are, 1 to 8.
    #[must_use]
    pub const fn temporal_layers(&self) -> u8 {
        self.max_temporal_id + 1
    }

    fn layers(&self, template_id: u8) -> Result<(u8, u8), DescriptorError> {
        let index = template_id.wrapping_sub(self.template_id_offset) & TEMPLATE_MASK;
        if index >= self.template_count {
            return Err(DescriptorError::UnknownTemplate);
        }
        Ok(self.layers[usize::from(index)])
    }

    fn resolution(&self, spatial_id: u8) -> Option<(u32, u32)> {
        let (width, height) = self.resolutions?[usize::from(spatial_id)];
        Some((u32::from(width) + 1, u32::from(height) + 1))
    }

    /// A.8.3, `template_dependency_structure`.
    fn read(bits: &mut BitReader<'_>) -> Result<Self, DescriptorError> {
        let mut structure = Self {
            template_id_offset: bits.bits(6)? as u8,
            decode_target_count: bits.bits(5)? as u8 + 1,
            template_count: 0,
            max_spatial_id: 0,
            max_temporal_id: 0,
            layers: [(0, 0); MAX_TEMPLATES],
            resolutions: None,
        };
        structure.read_layers(bits)?;
        let templates = u32::from(structure.template_count);
        let targets = u32::from(structure.decode_target_count);
        skip(bits, 2 * templates * targets)?;
        for _ in 0..templates {
            while bits.flag()? {
                skip(bits, 4)?;
            }
        }
        let chains = bits.non_symmetric(targets + 1)?;
        if chains > 0 {
            for _ in 0..targets {
                bits.non_symmetric(chains)?;
            }
            skip(bits, 4 * templates * chains)?;
        }
        if bits.flag()? {
            let mut resolutions = [(0, 0); MAX_SPATIAL_LAYERS];
            for resolution in &mut resolutions[..=usize::from(structure.max_spatial_id)] {
                *resolution = (bits.bits(16)? as u16, bits.bits(16)? as u16);
            }
            structure.resolutions = Some(resolutions);
        }
        Ok(structure)
    }

    fn read_layers(&mut self, bits: &mut BitReader<'_>) -> Result<(), DescriptorError> {
        let (mut spatial, mut temporal) = (0u8, 0u8);
        loop {
            let index = usize::from(self.template_count);
            *self.layers.get_mut(index).ok_or(DescriptorError::TooManyLayers)? = (spatial, temporal);
            self.template_count += 1;
            match bits.bits(2)? {
                NEXT_LAYER_SAME => {}
                NEXT_LAYER_TEMPORAL => temporal += 1,
                NEXT_LAYER_SPATIAL => (spatial, temporal) = (spatial + 1, 0),
                _ => break,
            }
            if usize::from(spatial) >= MAX_SPATIAL_LAYERS || temporal >= MAX_TEMPORAL_LAYERS {
                return Err(DescriptorError::TooManyLayers);
            }
            self.max_temporal_id = self.max_temporal_id.max(temporal);
        }
        self.max_spatial_id = spatial;
        Ok(())
    }
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
        if bytes.len() > MANDATORY_LEN {
            let mut bits = BitReader::new(&bytes[MANDATORY_LEN..]);
            let has_structure = bits.flag()?;
            let has_active_targets = bits.flag()?;
            skip(&mut bits, CUSTOM_FLAGS)?;
            if has_structure {
                attached = Some(Structure::read(&mut bits)?);
            }
            if has_active_targets {
                let structure = attached.as_ref().or(self.structure.as_ref());
                let targets = structure.ok_or(DescriptorError::UnknownTemplate)?.decode_target_count;
                active_decode_targets = Some(bits.bits(u32::from(targets))?);
            }
        }
        let structure = attached.as_ref().or(self.structure.as_ref());
        let structure = structure.ok_or(DescriptorError::UnknownTemplate)?;
        let (spatial_id, temporal_id) = structure.layers(mandatory.template_id)?;
        let descriptor = Descriptor {
            mandatory,
            structure_attached: attached.is_some(),
            spatial_id,
            temporal_id,
            resolution: structure.resolution(spatial_id),
            active_decode_targets,
        };
        if attached.is_some() {
            self.structure = attached;
        }
        Ok(descriptor)
    }
}

/// Longest descriptor that [`write_single_layer`] makes, in bytes.
pub const SINGLE_LAYER_MAX_LEN: usize = 13;

/// Writes the descriptor of one packet of a stream without layers (L1T1) and returns it.
///
/// The first packet of a key frame carries the structure (two templates, one chain) and `resolution` in pixels,
/// 13 bytes; all others three. Call with `resolution` on exactly that packet. A delta frame names the template
/// that needs the frame before it.
#[must_use]
pub fn write_single_layer(
    key: bool,
    (start_of_frame, end_of_frame): (bool, bool),
    frame_number: u16,
    resolution: Option<(u16, u16)>,
) -> SingleLayer {
    let template_id = if key { KEY_TEMPLATE } else { DELTA_TEMPLATE };
    let mandatory = Mandatory { start_of_frame, end_of_frame, template_id, frame_number };
    let mut bits = BitWriter::<SINGLE_LAYER_MAX_LEN>::new();
    for byte in mandatory.to_bytes() {
        bits.bits(8, u32::from(byte));
    }
    if let Some((width, height)) = resolution.filter(|_| key && start_of_frame) {
        bits.flag(true);
        bits.bits(1 + CUSTOM_FLAGS, 0);
        write_single_layer_structure(&mut bits);
        bits.flag(true);
        bits.bits(16, u32::from(width.saturating_sub(1)));
        bits.bits(16, u32::from(height.saturating_sub(1)));
    }
    SingleLayer(bits)
}

/// A descriptor made by [`write_single_layer`], kept without allocation.
#[derive(Debug)]
pub struct SingleLayer(BitWriter<SINGLE_LAYER_MAX_LEN>);

impl SingleLayer {
    /// Returns the value of the header extension element.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// The structure libwebrtc sends for L1T1: one decode target, one chain, template 0 starts it, template 1
/// follows the frame before.
fn write_single_layer_structure<const N: usize>(bits: &mut BitWriter<N>) {
    bits.bits(6, u32::from(KEY_TEMPLATE));
    bits.bits(5, 0);
    bits.bits(2, NEXT_LAYER_SAME);
    bits.bits(2, NO_MORE_TEMPLATES);
    for _template in 0..2 {
        bits.bits(2, SWITCH_INDICATION);
    }
    bits.flag(false);
    bits.flag(true);
    bits.bits(4, 0);
    bits.flag(false);
    // One chain: ns(2) of 1; which chain protects the target, ns(1), has no bits.
    bits.flag(true);
    bits.bits(4, 0);
    bits.bits(4, 1);
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
const MAX_TEMPLATES: usize = 64;
const MAX_SPATIAL_LAYERS: usize = 4;
const MAX_TEMPORAL_LAYERS: u8 = 8;
const NEXT_LAYER_SAME: u32 = 0;
const NEXT_LAYER_TEMPORAL: u32 = 1;
const NEXT_LAYER_SPATIAL: u32 = 2;
const NO_MORE_TEMPLATES: u32 = 3;
const SWITCH_INDICATION: u32 = 2;
const KEY_TEMPLATE: u8 = 0;
const DELTA_TEMPLATE: u8 = 1;
