//! The template structure: which layers a stream has, and what a frame of each template is to them.

use super::layer::{Layer, LayerSet};
use super::{DescriptorError, TEMPLATE_MASK, skip};
use crate::bits::{BitReader, Exhausted};

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
    /// What a frame of each template is to the layers.
    roles: [Role; MAX_TEMPLATES],
    /// The decode target that a viewer of each layer gets.
    targets: [u8; LAYERS],
    resolutions: Option<[(u16, u16); MAX_SPATIAL_LAYERS]>,
}

/// What a frame is to each layer, from its decode target indications (A.8.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Role {
    /// Viewers of these layers need it.
    pub(super) needed_by: LayerSet,
    /// With it a viewer who can decode it may go on to these.
    pub(super) switches_to: LayerSet,
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

    /// Layer and role of a frame of this template.
    pub(super) fn template(&self, template_id: u8) -> Result<(Layer, Role), DescriptorError> {
        let index = template_id.wrapping_sub(self.template_id_offset) & TEMPLATE_MASK;
        if index >= self.template_count {
            return Err(DescriptorError::UnknownTemplate);
        }
        let (spatial, temporal) = self.layers[usize::from(index)];
        Ok((Layer { spatial, temporal }, self.roles[usize::from(index)]))
    }

    pub(super) const fn decode_target_count(&self) -> u32 {
        self.decode_target_count as u32
    }

    /// Reads `frame_dtis` or one line of `template_dtis`: two bits for each decode target.
    pub(super) fn read_role(&self, bits: &mut BitReader<'_>) -> Result<Role, Exhausted> {
        let mut indications = [0; MAX_TARGETS];
        for indication in &mut indications[..usize::from(self.decode_target_count)] {
            *indication = bits.bits(2)?;
        }
        Ok(self.role(&indications))
    }

    fn role(&self, indications: &[u32; MAX_TARGETS]) -> Role {
        let mut role = Role { needed_by: LayerSet::NONE, switches_to: LayerSet::NONE };
        for (layer, target) in Layer::all().zip(self.targets) {
            let indication = indications[usize::from(target)];
            if indication != NOT_PRESENT {
                role.needed_by.insert(layer);
            }
            if indication == SWITCH {
                role.switches_to.insert(layer);
            }
        }
        role
    }

    pub(super) fn resolution(&self, spatial_id: u8) -> Option<(u32, u32)> {
        let (width, height) = self.resolutions?[usize::from(spatial_id)];
        Some((u32::from(width) + 1, u32::from(height) + 1))
    }

    /// A.8.3, `template_dependency_structure`.
    pub(super) fn read(bits: &mut BitReader<'_>) -> Result<Self, DescriptorError> {
        let mut structure = Self {
            template_id_offset: bits.bits(6)? as u8,
            decode_target_count: bits.bits(5)? as u8 + 1,
            template_count: 0,
            max_spatial_id: 0,
            max_temporal_id: 0,
            layers: [(0, 0); MAX_TEMPLATES],
            roles: [Role { needed_by: LayerSet::ALL, switches_to: LayerSet::NONE }; MAX_TEMPLATES],
            targets: [0; LAYERS],
            resolutions: None,
        };
        structure.read_layers(bits)?;
        let templates = u32::from(structure.template_count);
        let targets = u32::from(structure.decode_target_count);
        structure.read_roles(bits)?;
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

    /// Which layers a decode target has follows from the templates that are present in it, so the indications are read first.
    fn read_roles(&mut self, bits: &mut BitReader<'_>) -> Result<(), Exhausted> {
        let count = usize::from(self.template_count);
        let mut indications = [[0; MAX_TARGETS]; MAX_TEMPLATES];
        let mut tops = [(0, 0); MAX_TARGETS];
        for (of_template, (spatial, temporal)) in indications[..count].iter_mut().zip(self.layers) {
            let targets = of_template.iter_mut().zip(&mut tops).take(usize::from(self.decode_target_count));
            for (indication, top) in targets {
                *indication = bits.bits(2)?;
                if *indication != NOT_PRESENT {
                    *top = (spatial.max(top.0), temporal.max(top.1));
                }
            }
        }
        let tops = &tops[..usize::from(self.decode_target_count)];
        for (layer, target) in Layer::all().zip(&mut self.targets) {
            *target = best_target(tops, layer);
        }
        for (index, of_template) in indications[..count].iter().enumerate() {
            self.roles[index] = self.role(of_template);
        }
        Ok(())
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

/// The highest decode target that does not go beyond a layer; where there is none, the lowest.
fn best_target(tops: &[(u8, u8)], layer: Layer) -> u8 {
    let within = |(spatial, temporal): (u8, u8)| spatial <= layer.spatial && temporal <= layer.temporal;
    let fitting = (0..tops.len()).filter(|&target| within(tops[target])).max_by_key(|&target| tops[target]);
    let lowest = || (0..tops.len()).min_by_key(|&target| tops[target]);
    fitting.or_else(lowest).unwrap_or(0) as u8
}

const MAX_TEMPLATES: usize = 64;
const MAX_TARGETS: usize = 32;
const MAX_SPATIAL_LAYERS: usize = 4;
const MAX_TEMPORAL_LAYERS: u8 = 8;
const LAYERS: usize = 32;
pub(super) const NEXT_LAYER_SAME: u32 = 0;
const NEXT_LAYER_TEMPORAL: u32 = 1;
const NEXT_LAYER_SPATIAL: u32 = 2;
pub(super) const NO_MORE_TEMPLATES: u32 = 3;
const NOT_PRESENT: u32 = 0;
pub(super) const SWITCH: u32 = 2;
