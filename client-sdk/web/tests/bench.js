/** What sealing and opening a frame costs in the worker of each browser: `npm run bench`, after `make web test-programs`. */

import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { table } from '../../wasm/tests/node/cost.js';
import { BROWSERS, launch } from './harness/browsers.js';
import { root } from './harness/places.js';
import { Server } from './harness/server.js';

/** The page, its worker, and the module: a folder that a server serves in the app's place. */
async function site() {
  const folder = await mkdtemp(path.join(tmpdir(), 'latchkey-cost-'));
  const sdk = path.join(root, 'client-sdk');
  await cp(path.join(sdk, 'web/tests/cost'), folder, { recursive: true });
  await cp(path.join(sdk, 'web/src/worker/wasm'), folder, { recursive: true });
  for (const file of ['cost.js', 'device.js']) {
    await cp(path.join(sdk, 'wasm/tests/node', file), path.join(folder, file));
  }
  return folder;
}

async function measure(name, url) {
  // Microseconds, where the browser would round them for strangers.
  const browser = await launch(name, { prefs: { 'privacy.reduceTimerPrecision': false } });
  try {
    const page = await browser.page();
    await page.isolate();
    await page.goto(url);
    const rows = await page.evaluate(() => window.cost);
    // Requests that wait for news are still open when the browser closes.
    if (name === 'chromium') await page.driver.context().unrouteAll({ behavior: 'ignoreErrors' });
    return [`${name} ${browser.version}`, '', ...table(rows), ''];
  } finally {
    await browser.close();
  }
}

const folder = await site();
const server = await Server.start({ webDir: folder });
try {
  for (const name of process.argv[2] ? [process.argv[2]] : BROWSERS) {
    console.log((await measure(name, server.url)).join('\n'));
  }
} finally {
  await server.end();
  await rm(folder, { recursive: true, force: true });
}
