/** What a household's viewers and cameras outlive, and what they must not: removal, strangers, reloads, restarts, a lost network. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { App, unopened } from './harness/app.js';
import { BROWSERS, launch } from './harness/browsers.js';
import { counted } from './harness/counted.js';
import { Town, sends } from './harness/house.js';
import { keep } from './harness/measures.js';
import { eventually, pause } from './harness/programs.js';

const ENOUGH = 25;
/** Names of everything in the household. */
const DOOR = 'Front door';

for (const name of BROWSERS) {
  describe(name, () => {
    let browser;
    let town;
    let house;
    let camera;
    let viewer;

    before(async () => {
      const film = await counted('mjpeg');
      town = await Town.start();
      browser = await launch(name, { fakeVideo: film });
      house = await town.household();
      await house.join('camera', DOOR);
      await house.join('viewer', 'tap');
      camera = house.camera(DOOR, [await counted('vp8')]);
      await sends(camera);
      viewer = await join(browser, house, 'Kitchen');
    });

    after(async () => {
      await browser?.close();
      await town?.end();
    });

    test(`${name}: the picture is back after the page is loaded again`, async () => {
      await viewer.watch(DOOR);
      await viewer.decoded(ENOUGH);
      const loaded = Date.now();
      await viewer.tab.reload();
      await viewer.decoded(ENOUGH);
      await back('a page reload', viewer, loaded);
    });

    test(`${name}: the picture is back after the server's restart`, async () => {
      await viewer.decoded(ENOUGH);
      const began = Date.now();
      await town.server.restart();
      const up = Date.now();
      await back(`a server's restart (${up - began} ms away)`, viewer, up);
      assert.deepEqual(unopened(await viewer.decoded(ENOUGH)), []);
    });

    test(`${name}: the picture is back after the network was away for ten seconds`, async () => {
      await viewer.decoded(ENOUGH);
      await town.away(true);
      await viewer.until('the page to say that the picture is old', ({ phase }) => phase === 'again');
      await pause(10_000);
      const stood = await viewer.figures();
      assert.notEqual(stood.phase, 'live');
      await town.away(false);
      const there = Date.now();
      await back('ten seconds without a network', viewer, there);
      assert.deepEqual(unopened(await viewer.decoded(ENOUGH)), []);
    });

    test(`${name}: a camera page that is loaded again uses no nonce twice`, async () => {
      const other = await launch(name, { fakeVideo: await counted('mjpeg') });
      let tap;
      try {
        const filming = await join(other, house, 'Tablet', 'camera');
        const start = async () => {
          await filming.press('Start sending');
          await filming.until('the camera to send', ({ phase }) => phase === 'sending');
        };
        await start();
        tap = house.tap('tap', 'Tablet');
        const seen = (frames) =>
          tap.until(`${frames} frames`, (told) => told.event === 'nonces' && told.opened >= frames);
        const first = await seen(ENOUGH);
        await filming.tab.reload();
        await filming.inside();
        await start();
        const second = await seen(first.opened + ENOUGH);
        // The same page, with its connection made anew.
        await town.server.restart();
        const last = await seen(second.opened + ENOUGH);
        assert.deepEqual(last.twice, [], 'one key and counter, two different frames');
        assert.ok(last.kids > first.kids, 'a page that is loaded again has keys of its own');
        // The relay may keep frames of an epoch before the tap was let in.
        const { replayed = 0, unknown_epoch: before = 0, ...failed } = last.failed;
        assert.deepEqual(failed, {}, 'every frame opened');
        assert.ok(before < ENOUGH, `${before} frames of an epoch that the tap does not know`);
        assert.ok(replayed <= last.again, `${replayed} of ${last.again} repeats`);
        console.log(
          `${name} as camera, loaded again, then the server anew: ${last.pairs} nonces of ${last.kids} keys, none twice`,
        );
      } finally {
        await tap?.end();
        await other.close();
      }
    });

    test(`${name}: a stranger with a stolen session sees nothing and drains no camera`, async () => {
      const strangers = await town.household('Mallory');
      await strangers.join('camera', 'Own door');
      const own = strangers.camera('Own door', [await counted('vp8')]);
      await sends(own);
      const other = await launch(name);
      try {
        // A grant that was never used, and the address it is for.
        const victim = await join(other, house, 'Bedroom');
        await victim.tab.evaluate(steal);
        await victim.watch(DOOR);
        const loot = await eventually('a grant to steal', () => victim.tab.evaluate(() => window.loot));
        await victim.close();

        const stranger = await join(await other.person(), strangers, 'Thief');
        await stranger.tab.evaluate(use, { loot: { ...loot, authorization: undefined } });
        await stranger.watch('Own door');
        await stranger.until('the refusal of a grant for another room', ({ text }) => /refused/.test(text));
        assert.equal((await stranger.figures()).decoded, 0);
        await stranger.go('#/');

        const wanted = () => camera.newest('sending').key_frames_wanted;
        const before = wanted();
        const began = Date.now();
        await stranger.tab.evaluate(use, { loot });
        await stranger.watch('Own door');
        await eventually(
          'sealed frames at the stranger',
          async () => (await stranger.figures()).packets > 100,
        );
        const figures = await eventually('frames that do not open', async () => {
          const now = await stranger.figures();
          return now.failed.reduce((sum, { frames }) => sum + frames, 0) >= ENOUGH && now;
        });
        await pause(3_000);
        const late = await stranger.figures();
        const seconds = (Date.now() - began) / 1000;
        console.log(
          `${name}, stranger with a stolen grant: ${figures.packets} packets, ${JSON.stringify(figures.failed)}, ` +
            `${late.plis} PLI, ${wanted() - before} key frames asked of the camera in ${seconds.toFixed(1)} s`,
        );
        assert.deepEqual([late.decoded, late.opened], [0, 0]);
        // A track without frames may be drawn once, in black.
        assert.equal(Math.max(...(await stranger.pixels()).flat()), 0, 'something shows');
        assert.notEqual(late.phase, 'live');
        assert.ok(wanted() - before <= seconds + 2, `${wanted() - before} in ${seconds} s`);
        await stranger.screenshot('stranger');
      } finally {
        await other.close();
        await own.end();
      }
    });

    test(`${name}: removed while watching, the picture stops and the page says why`, async () => {
      await viewer.decoded(ENOUGH);
      await house.remove('Kitchen');
      const removed = Date.now();
      const { text } = await viewer.until('the word of the removal', ({ text }) => /removed/i.test(text));
      console.log(
        `${name}: the page says so ${Date.now() - removed} ms after every camera has changed its keys`,
      );
      await viewer.screenshot('removed');
      const opened = (await viewer.told('figures')).at(-1)?.figures.openedVideo;
      const shown = await viewer.figures();
      await pause(2_000);
      const later = await viewer.figures();
      assert.equal(later.pictures, shown.pictures, 'a picture after the removal');
      assert.equal(later.open, 0, 'a connection is open');
      assert.equal((await viewer.told('figures')).at(-1)?.figures.openedVideo, opened);
      assert.equal(await viewer.tab.evaluate(() => document.querySelector('video')?.srcObject ?? null), null);
      assert.match(text, /not on the household’s list any more|was removed/);
    });
  });
}

/** Has a browser join a household. */
async function join(browser, house, name, role = 'viewer') {
  const { code, joined } = await house.invite(role, name);
  const app = await App.join(browser, house.town.url, code);
  await joined;
  return app;
}

/** Waits for a picture after a moment, prints and keeps how long it took. */
async function back(after, viewer, moment) {
  const at = await eventually(`a picture after ${after}`, () => viewer.pictureSince(moment), 50);
  const ms = Math.round(at - moment);
  console.log(`${viewer.browser}: picture ${ms} ms after ${after}`);
  keep({ what: `back after ${after.replace(/ \(.*\)/, '')}`, browser: viewer.browser, ms });
}

/** Keeps the page from using its grant, and lays it open. */
function steal() {
  const ask = window.fetch;
  window.fetch = (address, order) => {
    if (!String(address).includes('/whep/')) return ask(address, order);
    window.loot ??= { address: String(address), authorization: order.headers.Authorization };
    return Promise.reject(new TypeError('stolen'));
  };
}

/** Has the page go to the stolen address, with the stolen grant where there is one. */
function use({ loot }) {
  window.honest ??= window.fetch;
  let used = false;
  window.fetch = (address, order) => {
    if (order?.method !== 'POST' || !/\/whep\/[^/]+$/.test(String(address)))
      return window.honest(address, order);
    if (loot.authorization === undefined) return window.honest(loot.address, order);
    if (used) return Promise.reject(new TypeError('a grant is good once'));
    used = true;
    const headers = { ...order.headers, Authorization: loot.authorization };
    return window.honest(loot.address, { ...order, headers });
  };
}
