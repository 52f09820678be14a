//! Writes descriptors of a stream without layers.

use super::structure::{NEXT_LAYER_SAME, NO_MORE_TEMPLATES, SWITCH};
use super::{CUSTOM_FLAGS, Mandatory};
use crate::bits::BitWriter;

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
        bits.bits(2, SWITCH);
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

const KEY_TEMPLATE: u8 = 0;
const DELTA_TEMPLATE: u8 = 1;
