//! Where the device's state rests: the worker stores it, encrypted, in the browser's database.

use js_sys::Uint8Array;
use latchkey_household::vault::records::to_bytes;
use latchkey_household::vault::{Receipt, Records, Rest, RestError, VaultError};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use super::Surroundings;

/// The worker's storage.
pub(super) struct PageRest(pub(super) Surroundings);

impl Rest for PageRest {
    fn keep(&self, records: &Records, receipt: Receipt) -> Result<(), VaultError> {
        let storing = self.0.store(Uint8Array::from(to_bytes(records).as_slice()));
        spawn_local(async move {
            match JsFuture::from(storing).await {
                Ok(_) => receipt.stored(),
                Err(error) => receipt.failed(words(&error)),
            }
        });
        Ok(())
    }

    fn look(&self) -> Result<Records, VaultError> {
        Err(VaultError::Rest(RestError::new(OneWorker)))
    }

    fn discard(&self) {
        self.0.erase();
    }

    fn place(&self) -> String {
        "this browser".to_owned()
    }
}

/// Nobody else changes what this worker holds.
#[derive(Debug, thiserror::Error)]
#[error("the state of this browser is read once, when its worker starts")]
struct OneWorker;

fn words(error: &JsValue) -> String {
    let said = js_sys::Reflect::get(error, &JsValue::from("message")).ok().and_then(|said| said.as_string());
    said.unwrap_or_else(|| "the browser's storage does not work".to_owned())
}
