/**
 * Runs the browser tests and says how many passed for each browser: the last line is `web: chromium=<n> firefox=<n> passed`.
 *
 * `node tests/run.js [file …]`; `LATCHKEY_ONLY=firefox` keeps to tests whose name has that word.
 */

import { mkdir, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';
import { BROWSERS, executable } from './harness/browsers.js';
import { artifacts } from './harness/places.js';
import { table } from './harness/table.js';

const here = path.dirname(fileURLToPath(import.meta.url));

/** Ends with a sentence where something is missing, before any test runs. */
function check() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new Error(`node ${process.version} is too old: the browser tests need 20.19 or newer`);
  }
  BROWSERS.forEach(executable);
}

async function files() {
  const named = process.argv.slice(2);
  if (named.length > 0) return named.map((file) => path.resolve(file));
  const all = await readdir(here);
  return all
    .filter((file) => file.endsWith('.test.js'))
    .sort()
    .map((file) => path.join(here, file));
}

try {
  check();
} catch (error) {
  console.error(`web: ${error.message}`);
  process.exit(2);
}
await rm(artifacts, { recursive: true, force: true });
await mkdir(artifacts, { recursive: true });
const passed = Object.fromEntries(BROWSERS.map((name) => [name, 0]));
let failed = 0;
const only = process.env.LATCHKEY_ONLY;
const tests = run({
  files: await files(),
  // Browsers, servers and clips share the machine; one after another, times mean something.
  concurrency: 1,
  // For a whole file: each wait in it has its own limit, which says what was waited for.
  timeout: 1_800_000,
  ...(only ? { testNamePatterns: [new RegExp(only)] } : {}),
});
tests.on('test:pass', ({ name, skip, details }) => {
  if (skip !== undefined || details?.type === 'suite') return;
  for (const browser of BROWSERS) if (name.includes(browser)) passed[browser] += 1;
});
tests.on('test:fail', () => (failed += 1));
tests.compose(spec).pipe(process.stdout, { end: false });
tests.on('end', () => {
  // The reporter writes its summary after the last event.
  setTimeout(() => {
    for (const line of table()) console.log(line);
    const counts = BROWSERS.map((name) => `${name}=${passed[name]}`).join(' ');
    const none = BROWSERS.filter((name) => passed[name] === 0 && !only);
    if (failed > 0) console.log(`web: ${counts} passed, ${failed} failed`);
    else if (none.length > 0) console.log(`web: ${counts} passed, none ran in ${none.join(' and ')}`);
    else console.log(`web: ${counts} passed`);
    process.exitCode = failed > 0 || none.length > 0 ? 1 : 0;
  }, 200);
});
