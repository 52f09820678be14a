//! SFrame under a key that the caller has, so that the vectors of RFC 9605 go through the very module that a page loads.
//! Nothing of a household can be reached by it.

#![allow(unreachable_pub, reason = "wasm-bindgen exports only what is public")]

use js_sys::Uint8Array;
use latchkey_e2ee::vector;
use wasm_bindgen::prelude::wasm_bindgen;

/// Seals under a base key; nothing when the cipher refuses.
#[wasm_bindgen(js_name = sealVector)]
pub fn seal_vector(base_key: &[u8], kid: u64, ctr: u64, metadata: &[u8], plain: &[u8]) -> Option<Uint8Array> {
    vector::seal(base_key, kid, ctr, metadata, plain).map(|sframe| Uint8Array::from(sframe.as_slice()))
}

/// Opens under a base key; nothing when it is not authentic.
#[wasm_bindgen(js_name = openVector)]
pub fn open_vector(base_key: &[u8], metadata: &[u8], sframe: &[u8]) -> Option<Uint8Array> {
    vector::open(base_key, metadata, sframe).map(|plain| Uint8Array::from(plain.as_slice()))
}
