/** What a live view costs in each browser: joining, opening, and the worker's share of a processor. Printed, never asserted. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { App } from './harness/app.js';
import { BROWSERS, launch } from './harness/browsers.js';
import { counted } from './harness/counted.js';
import { Town, sends } from './harness/house.js';
import { keep } from './harness/measures.js';
import { timedApp } from './harness/timed.js';
import { workerSeconds } from './harness/threads.js';
import { eventually, pause } from './harness/programs.js';

const JOINS = 10;
/** Newcomers, whose first picture is the camera's first after it changed its keys for them. */
const NEWCOMERS = 5;
/** Seconds over which the worker's work is counted. */
const WINDOW = 5;

let town;
let house;
before(async () => {
  town = await Town.start({ webDir: await timedApp() });
  house = await town.household();
  await house.join('camera', 'Front door');
  await sends(house.camera('Front door', [await counted('vp8')]));
});
after(() => town?.end());

for (const name of BROWSERS) {
  test(`what it costs in ${name}`, async () => {
    // Microseconds, where the browser would round them for strangers.
    const browser = await launch(name, { prefs: { 'privacy.reduceTimerPrecision': false } });
    try {
      for (let at = 0; at < NEWCOMERS; at++) {
        const app = await newcomer(await browser.person(), `${name} ${at}`);
        const { first, opened } = await firstOf(app);
        keep({ what: 'newcomer', browser: name, ms: first });
        keep({ what: 'newcomer opens', browser: name, ms: opened });
        await app.close();
      }
      const app = await newcomer(browser, `${name} measured`);
      await firstOf(app);
      for (let at = 0; at < JOINS; at++) {
        const { first, opened } = await firstOf(app);
        keep({ what: 'joins', browser: name, ms: first });
        keep({ what: 'opens', browser: name, ms: opened });
      }
      await app.decoded(50);
      await app.tab.evaluate(() => (window.seen.opening = []));
      const [cpu, began] = [await workerSeconds(browser), performance.now()];
      await pause(WINDOW * 1000);
      const spent = (await workerSeconds(browser)) - cpu;
      const seconds = (performance.now() - began) / 1000;
      const micros = await app.tab.evaluate(() => window.seen.opening);
      assert.ok(micros.length > 0, 'no frame was timed');
      for (const one of micros) keep({ what: 'opening', browser: name, micros: one });
      keep({ what: 'worker', browser: name, share: spent / seconds });
    } finally {
      await browser.close();
    }
  });
}

/** Has somebody join the household. */
async function newcomer(person, called) {
  const { code, joined } = await house.invite('viewer', called);
  const app = await App.join(person, town.url, code, { isolated: true });
  await joined;
  return app;
}

/** Milliseconds from the click to the first frame that the worker opened, and to the first picture on the screen. */
async function firstOf(app) {
  await app.watch('Front door');
  await app.decoded(3);
  return eventually('the first picture', async () => {
    const { first } = await app.figures();
    const opened = await app.tab.evaluate(() => {
      const { told, asked } = window.seen;
      const step = told.find(({ event, step }) => event === 'stepDone' && step === 'firstFrame');
      return step && step.at - (performance.timeOrigin + asked);
    });
    return first > 0 && opened !== undefined && { first, opened };
  });
}
