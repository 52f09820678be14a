//! A panic is told to the worker, which starts anew from what is stored.

use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    /// The worker's global function for it.
    #[wasm_bindgen(js_name = latchkeyPanicked)]
    fn panicked(what: &str);
}

/// Has panics told. Called once, when the module is loaded.
#[wasm_bindgen(start)]
fn tell_panics() {
    std::panic::set_hook(Box::new(|info| panicked(&info.to_string())));
}
