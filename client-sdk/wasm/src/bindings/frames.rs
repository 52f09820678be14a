//! Frames in, frames out. One copy into the module and one out of it.

use std::cell::RefCell;
use std::sync::Arc;

use js_sys::Uint8Array;
use latchkey_household::camera::sealing::Fate;
use latchkey_household::camera::signed_sealer::Plain;
use latchkey_household::viewer::opening::Verdict as Opened;
use latchkey_wire::codec::Codec;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::device::{CameraSession, WatchSession};

/// What becomes of a frame.
#[wasm_bindgen]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// `take` has what goes on.
    Pass = 0,
    /// It can be tried again soon.
    Wait = 1,
    /// Nothing goes on, and nothing is missing.
    Nothing = 2,
    /// Nothing goes on, and something is missing.
    Drop = 3,
}

/// Opens the frames of one watch.
#[wasm_bindgen]
pub struct Opener {
    watch: Arc<WatchSession>,
    plain: RefCell<Option<Uint8Array>>,
}

impl Opener {
    pub(super) fn new(watch: Arc<WatchSession>) -> Self {
        Self { watch, plain: RefCell::default() }
    }
}

#[wasm_bindgen]
impl Opener {
    /// Opens a wire frame; `codec` is the number of the codec in the sealed header.
    pub fn open(&self, codec: u8, wire: &[u8]) -> Verdict {
        let Some(codec) = Codec::from_code(codec) else { return Verdict::Drop };
        let verdict = self.watch.open(codec, wire, |plain| {
            self.plain.replace(Some(Uint8Array::from(plain)));
        });
        match verdict {
            Opened::Show => Verdict::Pass,
            Opened::Wait => Verdict::Wait,
            Opened::Nothing => Verdict::Nothing,
            Opened::Refused(_) => Verdict::Drop,
        }
    }

    /// The frame opened last, once.
    pub fn take(&self) -> Option<Uint8Array> {
        self.plain.take()
    }

    /// So many frames that waited were given up.
    #[wasm_bindgen(js_name = gaveUp)]
    pub fn gave_up(&self, frames: u32) {
        self.watch.gave_up(frames);
    }

    /// Whether asking for a key frame would only drain the camera.
    #[wasm_bindgen(js_name = isBlind)]
    pub fn is_blind(&self) -> bool {
        self.watch.is_blind()
    }
}

/// Seals the frames of one camera.
#[wasm_bindgen]
pub struct Sealer {
    camera: Arc<CameraSession>,
    wire: RefCell<Option<Uint8Array>>,
}

impl Sealer {
    pub(super) fn new(camera: Arc<CameraSession>) -> Self {
        Self { camera, wire: RefCell::default() }
    }
}

#[wasm_bindgen]
impl Sealer {
    /// Seals an encoded frame; `layer` counts the sizes of a picture from 0, `temporal` the layers within one.
    pub fn seal(&self, layer: u32, codec: u8, key: bool, temporal: u8, data: &[u8]) -> Verdict {
        let Some(codec) = Codec::from_code(codec) else { return Verdict::Drop };
        let fate = self.camera.seal(layer, Plain { codec, key, temporal, data }, |wire| {
            self.wire.replace(Some(Uint8Array::from(wire)));
        });
        match fate {
            Fate::Send => Verdict::Pass,
            Fate::Wait => Verdict::Wait,
            Fate::Drop => Verdict::Drop,
        }
    }

    /// The frame sealed last, once.
    pub fn take(&self) -> Option<Uint8Array> {
        self.wire.take()
    }
}
