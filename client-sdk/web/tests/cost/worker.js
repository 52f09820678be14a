/** Takes times where the app opens frames: in a dedicated worker, with the module that the app loads. */

import { costs } from './cost.js';
import * as module from './latchkey_wasm.js';

try {
  await module.default({ module_or_path: new URL('latchkey_wasm_bg.wasm', import.meta.url) });
  self.postMessage({ rows: await costs(module, self.location.origin) });
} catch (error) {
  self.postMessage({ error: String(error) });
}
