/** After the build: writes each text file and the module also as .br and .gz, which latchkey-server and others serve. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

import { files, folder } from './built.js';

for (const { path, bytes } of files()) {
  if (!/\.(html|css|js|json|svg|wasm|webmanifest)$/.test(path)) continue;
  const quality = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY };
  writeFileSync(join(folder, `${path}.br`), brotliCompressSync(bytes, { params: quality }));
  writeFileSync(join(folder, `${path}.gz`), gzipSync(bytes, { level: 9 }));
}
