//! Descriptors as the specification writes them, read; ours, written; garbage, refused.

use super::*;
use crate::bits::BitWriter;
use proptest::prelude::*;

#[test]
fn the_vectors_of_the_wire_document_hold() {
    let document = include_str!("../../../docs/wire.md");
    let mut seen = 0;
    for line in document.lines().filter_map(|line| line.strip_prefix("    descriptor ")) {
        let [kind, ends, number, bytes] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let key = kind != "other";
        let resolution = kind.strip_prefix("key-").map(|size| {
            let (width, height) = size.split_once('x').unwrap();
            (width.parse().unwrap(), height.parse().unwrap())
        });
        let ends = (ends.contains('S'), ends.contains('E'));
        let written = write_single_layer(key, ends, number.parse().unwrap(), resolution);
        assert_eq!(hex::encode(written.as_bytes()), bytes, "{line}");
        seen += 1;
    }
    assert_eq!(seen, 4, "vectors in the wire document");
}

#[test]
fn a_stream_without_layers_is_written_and_read() {
    let mut reader = Reader::new();
    let key = write_single_layer(true, (true, false), 65_535, Some((1280, 720)));
    assert_eq!(key.as_bytes().len(), SINGLE_LAYER_MAX_LEN);
    assert!(has_structure(key.as_bytes()));
    let read = reader.read(key.as_bytes()).unwrap();
    assert!(read.structure_attached && read.mandatory.start_of_frame && !read.mandatory.end_of_frame);
    assert_eq!((read.spatial_id, read.temporal_id), (0, 0));
    assert_eq!(read.resolution, Some((1280, 720)));
    assert_eq!(read.mandatory.frame_number, 65_535);
    for (key, start, end) in
        [(true, false, true), (false, true, false), (false, false, true), (false, true, true)]
    {
        let packet = write_single_layer(key, (start, end), 7, None);
        assert_eq!(packet.as_bytes().len(), 3);
        assert!(!has_structure(packet.as_bytes()));
        let read = reader.read(packet.as_bytes()).unwrap();
        let Mandatory { start_of_frame, end_of_frame, template_id, frame_number } = read.mandatory;
        assert_eq!((start_of_frame, end_of_frame, frame_number), (start, end, 7));
        assert_eq!(template_id, u8::from(!key));
        assert_eq!(read.resolution, Some((1280, 720)));
    }
    let structure = reader.structure().unwrap();
    assert_eq!((structure.spatial_layers(), structure.temporal_layers()), (1, 1));
}

#[test]
fn a_structure_goes_only_on_the_first_packet_of_a_key_frame() {
    let size = Some((640, 360));
    assert_eq!(write_single_layer(true, (false, true), 7, size).as_bytes().len(), 3);
    assert_eq!(write_single_layer(false, (true, true), 7, size).as_bytes().len(), 3);
    assert_eq!(write_single_layer(true, (true, true), 7, size).as_bytes().len(), 13);
}

#[test]
fn the_frame_number_changes_in_place() {
    let packet = write_single_layer(true, (true, true), 7, Some((640, 360)));
    let mut bytes = packet.as_bytes().to_vec();
    rewrite_frame_number(&mut bytes, 0xABCD);
    assert_eq!(bytes, write_single_layer(true, (true, true), 0xABCD, Some((640, 360))).as_bytes());
    let mut short = [1, 2];
    rewrite_frame_number(&mut short, 0xABCD);
    assert_eq!(short, [1, 2]);
}

#[test]
fn templates_need_their_structure() {
    let mut reader = Reader::new();
    assert_eq!(reader.read(&[0x81, 0, 1]), Err(DescriptorError::UnknownTemplate));
    assert_eq!(reader.read(&[0x81, 0]), Err(DescriptorError::Truncated));
    let key = write_single_layer(true, (true, true), 7, Some((640, 360)));
    reader.read(key.as_bytes()).unwrap();
    assert!(reader.read(&[0x81, 0, 8]).is_ok());
    assert_eq!(reader.read(&[0x82, 0, 8]), Err(DescriptorError::UnknownTemplate));
    for len in 4..key.as_bytes().len() {
        assert_eq!(reader.read(&key.as_bytes()[..len]), Err(DescriptorError::Truncated), "{len} bytes");
    }
    // Sixty-five templates do not fit the six bits of a template id.
    let mut bytes = vec![0x80, 0, 1, 0x80, 0];
    bytes.extend([0; 40]);
    assert_eq!(reader.read(&bytes), Err(DescriptorError::TooManyLayers));
    assert_eq!(reader.structure().unwrap().spatial_layers(), 1, "the old structure stays");
}

/// L1T3 as libwebrtc sends it: what each frame is to viewers of each temporal layer.
#[test]
fn temporal_layers_say_who_needs_a_frame_and_where_to_switch() {
    const INDICATIONS: [[u32; 3]; 5] = [[2, 2, 2], [2, 2, 2], [0, 3, 2], [0, 0, 1], [0, 0, 1]];
    let mut bits = BitWriter::<64>::new();
    bits.bits(24, 0x80_0007);
    bits.bits(5, 0b10000);
    bits.bits(11, 2);
    [0, 1, 1, 0, 3].iter().for_each(|next| bits.bits(2, *next));
    INDICATIONS.iter().flatten().for_each(|indication| bits.bits(2, *indication));
    (0..5).for_each(|_| bits.flag(false));
    bits.bits(2, 0);
    bits.flag(false);
    let mut reader = Reader::new();
    let key = reader.read(bits.as_bytes()).unwrap();
    assert_eq!((key.needed_by, key.switches_to), (LayerSet::ALL, LayerSet::ALL));
    let layer = |temporal| Layer { spatial: 0, temporal };
    for (template, needed, switches) in [
        (1, [true; 3], [true; 3]),
        (2, [false, true, true], [false, false, true]),
        (4, [false, false, true], [false; 3]),
    ] {
        let read = reader.read(&[0xC0 | template, 0, 8]).unwrap();
        for temporal in 0..3 {
            let index = usize::from(temporal);
            assert_eq!(read.needed_by.contains(layer(temporal)), needed[index], "template {template}");
            assert_eq!(read.switches_to.contains(layer(temporal)), switches[index], "template {template}");
        }
        assert_eq!(read.needed_by.contains(Layer::TOP), needed[2], "above the highest is the highest");
    }
    // Indications of its own: needed by nobody below the highest layer.
    let mut bits = BitWriter::<64>::new();
    bits.bits(24, 0xC1_0009);
    bits.bits(5, 0b00100);
    [0, 0, 1].iter().for_each(|indication| bits.bits(2, *indication));
    let read = reader.read(bits.as_bytes()).unwrap();
    assert_eq!(read.temporal_id, 0);
    assert!(read.needed_by.contains(layer(2)) && !read.needed_by.contains(layer(1)));
}

#[test]
fn spatial_layers_of_key_mode_change_at_key_frames_only() {
    // L2T1_KEY: decode target 0 is the small picture, 1 the large one, which needs the small one in key frames only.
    const INDICATIONS: [[u32; 2]; 4] = [[2, 2], [2, 0], [0, 2], [0, 3]];
    let mut bits = BitWriter::<64>::new();
    bits.bits(24, 0x80_0007);
    bits.bits(5, 0b10000);
    bits.bits(11, 1);
    [0, 2, 0, 3].iter().for_each(|next| bits.bits(2, *next));
    INDICATIONS.iter().flatten().for_each(|indication| bits.bits(2, *indication));
    (0..4).for_each(|_| bits.flag(false));
    bits.bits(2, 0);
    bits.flag(false);
    let mut reader = Reader::new();
    reader.read(bits.as_bytes()).unwrap();
    let (small, large) = (Layer { spatial: 0, temporal: 0 }, Layer { spatial: 1, temporal: 0 });
    let delta_of_small = reader.read(&[0xC1, 0, 8]).unwrap();
    assert!(delta_of_small.needed_by.contains(small) && !delta_of_small.needed_by.contains(large));
    let delta_of_large = reader.read(&[0xC3, 0, 9]).unwrap();
    assert!(delta_of_large.needed_by.contains(large) && !delta_of_large.needed_by.contains(small));
    assert!(!delta_of_large.switches_to.contains(small));
}

/// Writes a structure in the order of A.8, independently of what the reader keeps of it.
struct Scalable {
    spatial: u8,
    temporal: u8,
    template_id_offset: u8,
    chains: u32,
    templates_per_layer: u32,
    resolutions: bool,
}

impl Scalable {
    fn write(&self, layer: (u8, u8), active: Option<u32>, custom: bool) -> Vec<u8> {
        let targets = u32::from(self.spatial) * u32::from(self.temporal);
        let per_layer = self.templates_per_layer;
        let template = (u32::from(layer.0) * u32::from(self.temporal) + u32::from(layer.1)) * per_layer;
        let template = (template + u32::from(self.template_id_offset)) & 0x3F;
        let mut bits = BitWriter::<2048>::new();
        bits.bits(2, 0b10);
        bits.bits(6, template);
        bits.bits(16, 0x1234);
        bits.flag(true);
        bits.flag(active.is_some());
        bits.bits(3, if custom { 7 } else { 0 });
        bits.bits(6, u32::from(self.template_id_offset));
        bits.bits(5, targets - 1);
        for spatial in 0..self.spatial {
            for temporal in 0..self.temporal {
                let last_of_temporal = temporal + 1 == self.temporal;
                (1..per_layer).for_each(|_| bits.bits(2, 0));
                bits.bits(
                    2,
                    match () {
                        () if !last_of_temporal => 1,
                        () if spatial + 1 < self.spatial => 2,
                        () => 3,
                    },
                );
            }
        }
        let templates = targets * per_layer;
        (0..templates * targets).for_each(|n| bits.bits(2, n % 4));
        for n in 0..templates {
            for fdiff in 0..n % 3 {
                bits.flag(true);
                bits.bits(4, fdiff);
            }
            bits.flag(false);
        }
        non_symmetric(&mut bits, self.chains, targets + 1);
        if self.chains > 0 {
            (0..targets).for_each(|target| non_symmetric(&mut bits, target % self.chains, self.chains));
            (0..templates * self.chains).for_each(|n| bits.bits(4, n % 16));
        }
        bits.flag(self.resolutions);
        if self.resolutions {
            for spatial in 0..u32::from(self.spatial) {
                bits.bits(16, (160 << spatial) - 1);
                bits.bits(16, (90 << spatial) - 1);
            }
        }
        if let Some(active) = active {
            bits.bits(targets, active);
        }
        if custom {
            bits.bits(32, 0xFFFF_FFFF);
        }
        assert!(!bits.overflowed());
        bits.as_bytes().to_vec()
    }
}

fn non_symmetric<const N: usize>(bits: &mut BitWriter<N>, value: u32, count: u32) {
    let width = u32::BITS - count.leading_zeros();
    let short = (1 << width) - count;
    if value < short { bits.bits(width - 1, value) } else { bits.bits(width, value + short) }
}

proptest! {
    #[test]
    fn any_layering_is_read(
        spatial in 1u8..=4,
        temporal in 1u8..=4,
        template_id_offset in 0u8..64,
        chains in 0u32..=16,
        templates_per_layer in 1u32..=4,
        (resolutions, custom, with_active) in any::<(bool, bool, bool)>(),
        (layer_s, layer_t) in (0u8..4, 0u8..4),
    ) {
        let chains = chains.min(u32::from(spatial) * u32::from(temporal));
        let layer = (layer_s % spatial, layer_t % temporal);
        let active = with_active.then_some(0x5555_5555 & ((1 << (u32::from(spatial) * u32::from(temporal))) - 1));
        let scalable = Scalable { spatial, temporal, template_id_offset, chains, templates_per_layer, resolutions };
        let bytes = scalable.write(layer, active, custom);
        let mut reader = Reader::new();
        let read = reader.read(&bytes).unwrap();
        prop_assert_eq!((read.spatial_id, read.temporal_id), layer);
        prop_assert_eq!(read.mandatory.frame_number, 0x1234);
        let size = (160 << layer.0, 90 << layer.0);
        prop_assert_eq!(read.resolution, resolutions.then_some(size));
        prop_assert_eq!(read.active_decode_targets, active);
        let structure = reader.structure().unwrap();
        prop_assert_eq!((structure.spatial_layers(), structure.temporal_layers()), (spatial, temporal));
        // A later packet of that template, in three bytes.
        let later = reader.read(&[bytes[0], 0, 9]).unwrap();
        prop_assert_eq!((later.spatial_id, later.temporal_id, later.structure_attached), (layer.0, layer.1, false));
    }

    #[test]
    fn any_bytes_are_read_without_panic(descriptors in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 1..4)) {
        let mut reader = Reader::new();
        for mut descriptor in descriptors {
            let _ = reader.read(&descriptor);
            let _ = has_structure(&descriptor);
            rewrite_frame_number(&mut descriptor, 1);
            if let Some(flags) = descriptor.get_mut(3) {
                *flags |= STRUCTURE_BIT;
            }
            let _ = reader.read(&descriptor);
        }
    }
}
