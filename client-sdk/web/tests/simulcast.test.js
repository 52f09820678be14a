/** Browsers that film in several sizes or in H.264, through the app: a viewer who goes down a size and up again, and what it is told. */

import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { App } from './harness/app.js';
import { BROWSERS, launch } from './harness/browsers.js';
import { wrongPlaces } from './harness/clip.js';
import { FRAMES, counted, numbersIn } from './harness/counted.js';
import { Town, opened } from './harness/house.js';
import { artifacts } from './harness/places.js';
import { eventually } from './harness/programs.js';

/** Frames that must have come before anything is asserted. */
const ENOUGH = 50;
/** Sizes of the picture by rid, as publisher.ts names them: the made-up cameras film 1280x720. */
const WIDTHS = { q: 320, h: 640, f: 1280 };
/** The smallest size and sound fit, the others do not. */
const NARROW = 350_000;
/** The way of the viewer whose network becomes narrow. */
const WAY = { loss: 0, delayMs: 10 };

const browsers = [];
const open = async (name, options) => (browsers.push(await launch(name, options)), browsers.at(-1));
let town;
let house;
let viewer;
/** The number of its weather. */
let way;

before(async () => {
  town = await Town.start();
  house = await town.household();
  await house.join('viewer', 'native');
  viewer = await join(await open('chromium'), 'viewer', 'Chromium viewer');
});

after(async () => {
  for (const browser of browsers) await browser.close();
  await town?.end();
});

describe('several sizes', () => {
  for (const camera of BROWSERS) {
    test(`${camera} films in three sizes, and chromium goes down and up again`, async () => {
      const name = `${camera} in sizes`;
      await town.weather({ loss: 0 });
      const filming = await join(await open(camera), 'camera', name);
      await filming.press('Start sending');
      await filming.until('the camera to send', ({ phase }) => phase === 'sending');
      const sizes = await eventually('three sizes on their way', async () => {
        const { sent } = await filming.figures();
        return sent.length === 3 && sent.every(({ framesEncoded }) => framesEncoded > 0) && sent;
      });
      const widths = Object.fromEntries(sizes.map(({ rid, frameWidth }) => [rid, frameWidth]));
      const native = house.viewer('native', name);
      try {
        way = await town.weather(WAY);
        await viewer.watch(name);
        await viewer.decoded(ENOUGH);
        const shown = [];
        shown.push(await shows('the largest size', (width) => width === WIDTHS.f));
        await signedIn(shown.at(-1), ENOUGH);
        await town.change(way, { ...WAY, bitsPerSecond: NARROW });
        shown.push(await shows('a smaller size', (width) => width < WIDTHS.f));
        const small = await signedIn(shown.at(-1), ENOUGH);
        await viewer.screenshot(`${camera}-three-sizes-narrow`);
        await town.change(way, WAY);
        shown.push(await shows('a larger size again', (width) => width > small.width));
        const last = await signedIn(shown.at(-1), ENOUGH);
        await viewer.screenshot(`${camera}-three-sizes-wide`);
        // What the relay repairs on the narrow way may come twice.
        const failed = last.failed.filter(({ reason }) => reason !== 'replayed');
        assert.deepEqual(failed, [], 'every frame that came opened, of whichever size');
        assert.equal(last.forged, 0);
        const told = await opened(native, ENOUGH);
        const stats = await native.until(
          'signed frames',
          ({ event, authenticity }) => event === 'stats' && authenticity === 'signed by the camera',
        );
        assert.deepEqual([told.failed, stats.forged], [{}, 0], JSON.stringify(stats));
        console.log(
          `${camera} films ${JSON.stringify(widths)}; chromium showed ${shown.map(said).join(', ')}; ` +
            `signed ${last.signed}, not verified ${last.unverified}, forged ${last.forged}`,
        );
      } finally {
        await town.change(way ?? 0, WAY);
        await native.end();
        await filming.press('Stop').catch(() => {});
      }
    });
  }
});

describe('H.264', () => {
  test('chromium films in H.264, to native and chromium', async (context) => {
    const film = await counted('mjpeg');
    const name = 'chromium in H.264';
    const filming = await join(withoutVp8(await open('chromium', { fakeVideo: film })), 'camera', name);
    const codecs = await filming.tab.evaluate(() =>
      RTCRtpSender.getCapabilities('video').codecs.map(({ mimeType }) => mimeType),
    );
    if (!codecs.includes('video/H264')) {
      context.diagnostic('this chromium has no H.264 encoder: it films in another codec');
      console.log(`chromium cannot send H264 over WebRTC; it has ${[...new Set(codecs)].join(', ')}`);
      return;
    }
    await town.weather({ loss: 0 });
    await filming.press('Start sending');
    await filming.until('the camera to send', ({ phase }) => phase === 'sending');
    const out = path.join(artifacts, 'chromium-films-h264.h264');
    const native = house.viewer('native', name, out);
    try {
      await viewer.watch(name);
      await viewer.decoded(ENOUGH);
      const numbers = (await viewer.numbers(10)).map(({ number }) => number);
      assert.ok(numbers.filter((number) => number !== undefined).length >= 9, `numbers: ${numbers}`);
      assert.ok(new Set(numbers).size > 3, `the picture stands: ${numbers}`);
      assert.deepEqual(wrongPlaces(await viewer.pixels()), []);
      const told = await isSigned('in H.264');
      assert.deepEqual([told.failed, told.forged], [[], 0]);
      assert.equal(await codecOf(viewer), 'video/H264');
      await viewer.screenshot('chromium-films-h264');
      const stats = await opened(native, ENOUGH);
      assert.deepEqual(stats.failed, {}, JSON.stringify(stats));
    } finally {
      await native.end();
      await filming.press('Stop').catch(() => {});
    }
    const numbers = await numbersIn(out);
    assert.ok(!numbers.includes(undefined), `a number that cannot be read: ${numbers}`);
    assert.ok(new Set(numbers).size > ENOUGH / 2, `${numbers}`);
    assert.ok(numbers.every((number) => number >= 0 && number < FRAMES));
  });
});

/** Has a browser join the household. */
async function join(person, role, name) {
  const invite = await house.invite(role, name);
  const app = await App.join(person, town.url, invite.code);
  await invite.joined;
  return app;
}

/** The same browser as one that has no VP8: the app then takes the first codec that it has. */
function withoutVp8(person) {
  return {
    ...person,
    page: async () => {
      const tab = await person.page();
      await tab.before(() => {
        const all = RTCRtpSender.getCapabilities.bind(RTCRtpSender);
        RTCRtpSender.getCapabilities = (kind) => {
          const { codecs, ...rest } = all(kind);
          return { ...rest, codecs: codecs.filter(({ mimeType }) => mimeType !== 'video/VP8') };
        };
      });
      return tab;
    },
  };
}

/** What the viewer's page says and shows, with the module's verdicts. */
async function figures() {
  const told = (await viewer.told('figures')).at(-1)?.figures;
  const { signed = 0, unverified = 0, forged = 0 } = told ?? {};
  return { ...(await viewer.figures()), signed, unverified, forged };
}

/** Waits until the picture on the screen is so wide. */
async function shows(what, wanted) {
  const began = Date.now();
  let last;
  return eventually(what, async () => {
    last = await figures();
    return last.phase === 'live' && wanted(last.width) && { ...last, after: Date.now() - began };
  }).catch((error) => {
    throw new Error(`${error.message}: ${JSON.stringify(last)}`);
  });
}

/** A size, and how long it was waited for. */
function said({ width, after }) {
  return `${width} after ${after} ms`;
}

/** Waits for so many more frames that the camera's signature covers; returns the figures then. */
async function signedIn({ signed: before }, more) {
  let last;
  const found = await eventually(`${more} more signed frames`, async () => {
    last = await figures();
    return last.signed >= before + more && last.authenticity === 'signed' && last;
  }).catch((error) => {
    throw new Error(`${error.message}: ${JSON.stringify(last)}`);
  });
  return found;
}

/** Waits until the page says that the camera signed what it shows. */
function isSigned(what) {
  return signedIn({ signed: 0 }, 1).catch((error) => {
    throw new Error(`${what}: ${error.message}`);
  });
}

/** What a viewer's browser decodes. */
function codecOf(app) {
  return app.tab.evaluate(async () => {
    const reports = await window.seen.peers.at(-1).getStats();
    const video = [...reports.values()].find(({ type, kind }) => type === 'inbound-rtp' && kind === 'video');
    return reports.get(video?.codecId)?.mimeType;
  });
}
