/** Fails when the first load is larger than 500 KB by brotli, as servers send it, or when a built file names a foreign host. */

import { brotliCompressSync, gzipSync } from 'node:zlib';

import { files, folder } from './built.js';

const BUDGET_BYTES = 500_000;
/** Loaded when the app is installed, later, or never. */
const LATER = /^(icon-.*\.png|sw\.js|offline\.(html|css)|integrity\.json)$/;
/** Names in standards: no request is ever made to them. */
const NAMES = /^https?:\/\/(www\.w3\.org|www\.webrtc\.org|aomediacodec\.github\.io)\//;

const built = files();
const first = built.filter(({ path }) => !LATER.test(path));
if (first.length === 0) throw new Error(`${folder} is empty: run npm run build`);

let gzip = 0;
let brotli = 0;
for (const { path, bytes } of first) {
  const zipped = gzipSync(bytes, { level: 9 }).length;
  const small = brotliCompressSync(bytes).length;
  gzip += zipped;
  brotli += small;
  console.log(`${kb(bytes.length)}  gzip ${kb(zipped)}  brotli ${kb(small)}  ${path}`);
}
console.log(`first load: gzip ${kb(gzip)}, brotli ${kb(brotli)}, budget ${kb(BUDGET_BYTES)}`);

const foreign = built
  .filter(({ path }) => /\.(html|css|js|webmanifest)$/.test(path))
  .flatMap(({ path, bytes }) =>
    (
      bytes
        .toString()
        .match(/(?:src|href|action)="https?:[^"]+|url\(["']?https?:[^)]+|fetch\(["'`]https?:[^"'`]+/g) ?? []
    )
      .filter((found) => !NAMES.test(found.slice(found.indexOf('http'))))
      .map((found) => `${path}: ${found}`),
  );
for (const found of foreign) console.log(`foreign address in ${found}`);
if (brotli > BUDGET_BYTES) console.log('the first load is over its budget');
process.exit(brotli > BUDGET_BYTES || foreign.length > 0 ? 1 : 0);

function kb(bytes) {
  return `${(bytes / 1000).toFixed(1).padStart(7)} KB`;
}
