//! What the household calls its devices: names are sealed in the lists and opened with the household's label key.

use latchkey_api::device_list::{DeviceEntry, DeviceList, ListChain, Signer};
use latchkey_api::id::DeviceId;
use latchkey_e2ee::label::{LabelKey, open_label};

/// The names of one household, as one of its devices reads them.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    pub(crate) chain: &'a ListChain,
    pub(crate) label_key: &'a LabelKey,
    /// Who reads them.
    pub(crate) me: DeviceId,
}

impl Names<'_> {
    /// Returns the name in an entry; the device's id where it does not open.
    pub fn label(&self, entry: &DeviceEntry) -> String {
        open_label(self.label_key, self.chain.household(), entry.device, &entry.label)
            .unwrap_or_else(|_| entry.device.to_string())
    }

    /// Returns a device's name by any list that is known, newest first; its id where it has none.
    pub fn name_of(&self, device: DeviceId) -> String {
        let lists: Vec<&DeviceList> = self.chain.lists().map(|list| list.list()).collect();
        let entry = lists.iter().rev().find_map(|list| list.device(device));
        entry.map_or_else(|| device.to_string(), |entry| self.label(entry))
    }

    /// Returns who signed a list: a name, or the words.
    pub fn signer(&self, signer: Signer) -> String {
        match signer {
            Signer::Root => "the holder of the twelve words".to_owned(),
            Signer::Device(device) if device == self.me => "this device".to_owned(),
            Signer::Device(device) => format!("{:?}", self.name_of(device)),
        }
    }
}
