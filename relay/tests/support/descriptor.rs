//! The Dependency Descriptor, which str0m carries without looking into it.

use str0m::rtp::{ExtensionSerializer, ExtensionValues};

/// One packet's.
pub struct Descriptor(pub Vec<u8>);

/// Its place in the header.
#[derive(Debug)]
pub struct DescriptorExtension;

impl ExtensionSerializer for DescriptorExtension {
    fn write_to(&self, buf: &mut [u8], values: &ExtensionValues) -> usize {
        let Some(Descriptor(bytes)) = values.user_values.get() else { return 0 };
        buf[..bytes.len()].copy_from_slice(bytes);
        bytes.len()
    }

    fn parse_value(&self, buf: &[u8], values: &mut ExtensionValues) -> bool {
        values.user_values.set(Descriptor(buf.to_vec()));
        true
    }

    fn is_video(&self) -> bool {
        true
    }

    fn is_audio(&self) -> bool {
        false
    }
}

pub const DESCRIPTOR_URI: &str =
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";
/// The id that it is offered under.
pub const DESCRIPTOR_ID: u8 = 9;
