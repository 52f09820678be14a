//! The bindings: what the worker's TypeScript calls, and what it is called with. Nothing is decided here.

mod frames;
mod panic;
mod storage;
mod vector;

use std::sync::Arc;

use js_sys::{Promise, Uint8Array};
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};
use wasm_bindgen_futures::future_to_promise;

use self::frames::{Opener, Sealer};
use self::storage::PageRest;
use crate::device::Device;
use crate::face::event::Event;
use crate::face::{Fault, Request};
use crate::host::Host;

#[wasm_bindgen(typescript_custom_section)]
const SURROUNDINGS: &str = r#"
/** What the module needs of the worker around it. */
export interface Surroundings {
  /** Passes an event of the face on, as JSON. */
  tell(event: string): void;
  /** Frames of this session that wait should be tried again. */
  retry(session: number): void;
  /** Stores the device's state in place of the one before; resolves when it is stored. */
  store(state: Uint8Array): Promise<void>;
  /** Erases what was stored. */
  erase(): void;
}
"#;

#[wasm_bindgen]
extern "C" {
    /// The worker.
    #[wasm_bindgen(typescript_type = "Surroundings")]
    #[derive(Clone)]
    pub type Surroundings;

    #[wasm_bindgen(method)]
    fn tell(this: &Surroundings, event: &str);

    #[wasm_bindgen(method)]
    fn retry(this: &Surroundings, session: u32);

    #[wasm_bindgen(method)]
    fn store(this: &Surroundings, state: Uint8Array) -> Promise;

    #[wasm_bindgen(method)]
    fn erase(this: &Surroundings);
}

impl Host for Surroundings {
    fn tell(&self, event: Event) {
        self.tell(&json(&event));
    }

    fn retry(&self, session: u32) {
        self.retry(session);
    }
}

/// This browser's device.
#[wasm_bindgen]
pub struct Core(Device);

#[wasm_bindgen]
impl Core {
    /// The device whose state was `stored`, or one that belongs to no household. Throws a fault as JSON.
    #[wasm_bindgen(constructor)]
    // A worker has one thread.
    #[allow(clippy::arc_with_non_send_sync)]
    pub fn new(surroundings: Surroundings, stored: Option<Vec<u8>>) -> Result<Core, JsValue> {
        let rest = Arc::new(PageRest(surroundings.clone()));
        let device = Device::new(Arc::new(surroundings), rest, stored.as_deref());
        device.map(Core).map_err(|fault| JsValue::from(json(&fault)))
    }

    /// Does what the page asks: takes a call of the face as JSON, resolves with its reply, rejects with a fault, both as JSON.
    #[wasm_bindgen(unchecked_return_type = "Promise<string>")]
    pub fn call(&self, request: &str) -> Promise {
        let request: Result<Request, _> = serde_json::from_str(request);
        let device = self.0.clone();
        future_to_promise(async move {
            let request = request.map_err(|error| json(&Fault::new("bad-call", error)))?;
            let reply = device.call(request).await.map_err(|fault| json(&fault))?;
            Ok(JsValue::from(json(&reply)))
        })
    }

    /// Opens frames of a watch; nothing when it is over.
    pub fn opener(&self, session: u32) -> Option<Opener> {
        self.0.watch_session(session).map(Opener::new)
    }

    /// Seals frames of a camera; nothing when it is over.
    pub fn sealer(&self, session: u32) -> Option<Sealer> {
        self.0.camera_session(session).map(Sealer::new)
    }

    /// Tells figures. To be called about once a second.
    pub fn tick(&self) {
        self.0.tick();
    }
}

fn json(value: &impl serde::Serialize) -> String {
    // Our own types have no map with keys that are not text, the only thing that JSON refuses.
    serde_json::to_string(value).unwrap_or_default()
}
