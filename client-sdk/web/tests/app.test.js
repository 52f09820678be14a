/** Every way from camera to viewer in a household, through the app's own pages, clean and with 10 % loss. */

import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { App, unopened } from './harness/app.js';
import { BROWSERS, launch } from './harness/browsers.js';
import { wrongPlaces } from './harness/clip.js';
import { FRAMES, counted, numbersIn } from './harness/counted.js';
import { Town, opened, sends } from './harness/house.js';
import { keep } from './harness/measures.js';
import { artifacts } from './harness/places.js';
import { eventually } from './harness/programs.js';

/** Frames that must have come before anything is asserted. */
const ENOUGH = 50;
const WEATHERS = [
  { named: 'clean', loss: 0 },
  { named: 'with 10 % loss', loss: 0.1, delayMs: 20, seed: 7 },
];
/** What films: by native cameras the counted clip; Chromium films it, too; Firefox a picture of its own. */
const CAMERAS = [
  { camera: 'native H.264', clip: 'h264', counts: true },
  { camera: 'native VP8', clip: 'vp8', counts: true },
  { camera: 'chromium', counts: true },
  { camera: 'firefox', counts: false },
];

/** Each tab has a window of its own in front: pages that nobody sees look for nothing. */
const browsers = [];
/** Tabs of viewers, and of cameras, by browser. */
const viewers = {};
const cameras = {};
let town;
let house;
const lacking = [];

before(async () => {
  const film = await counted('mjpeg');
  town = await Town.start();
  house = await town.household();
  const open = async (name) => (browsers.push(await launch(name, { fakeVideo: film })), browsers.at(-1));
  await house.join('viewer', 'native');
  for (const name of BROWSERS) {
    const invite = await house.invite('viewer', `${name} viewer`);
    viewers[name] = await App.join(await open(name), town.url, invite.code);
    await invite.joined;
    await tellLacks(viewers[name]);
    cameras[name] = await joinCamera(await open(name), nameOf(name));
  }
});

after(async () => {
  for (const line of lacking) console.log(line);
  for (const browser of browsers) await browser.close();
  await town?.end();
});

for (const weather of WEATHERS) {
  const { named, loss } = weather;
  describe(named, () => {
    const running = [];

    before(async () => {
      await town.weather(weather);
      for (const { camera, clip } of CAMERAS) {
        const name = nameOf(camera);
        if (clip) {
          if (loss === 0) await house.join('camera', name);
          const program = house.camera(name, [await counted(clip)]);
          running.push({ end: () => program.end() });
          await sends(program);
        } else {
          await cameras[camera].press('Start sending');
          await cameras[camera].until('the camera to send', ({ phase }) => phase === 'sending');
          running.push({ end: () => cameras[camera].press('Stop') });
        }
      }
    });

    after(async () => {
      for (const { end } of running.splice(0)) await end();
    });

    for (const { camera, counts } of CAMERAS) {
      test(`${camera} to native, ${named}`, async () => {
        const out = path.join(
          artifacts,
          `${slug(`${camera}-${named}`)}${camera.endsWith('H.264') ? '.h264' : '.ivf'}`,
        );
        const viewer = house.viewer('native', nameOf(camera), out);
        const told = await opened(viewer, ENOUGH).finally(() => viewer.end());
        const { replayed, ...failed } = told.failed;
        assert.deepEqual(failed, {}, JSON.stringify(told));
        if (counts) assertCounts(await numbersIn(out), camera.startsWith('native') && loss === 0);
      });

      for (const name of BROWSERS) {
        test(`${camera} to ${name}, ${named}`, async (context) => {
          const app = viewers[name];
          await app.watch(nameOf(camera));
          if (camera === 'native H.264' && name === 'firefox' && app.lacksH264) {
            context.diagnostic('firefox plays no H.264 over WebRTC: the page says so');
            const { phase } = await app.says(
              'This camera sends H.264, which this browser cannot play live: open the page in Chrome, Edge or Safari, or have the camera send VP8.',
            );
            assert.equal(phase, 'unplayable');
            assert.equal((await app.figures()).decoded, 0);
            await app.screenshot(slug(`${camera}-${named}`));
            return;
          }
          const { decoded } = await app.decoded(ENOUGH);
          if (counts) await assertRuns(app, loss);
          const more = await eventually('more pictures', async () => {
            const now = await app.figures();
            return now.decoded > decoded + 10 && now;
          });
          if (camera === 'firefox') await assertBright(app);
          else await assertColours(app);
          await app.screenshot(slug(`${camera}-${named}`));
          say(`${camera} to ${name}, ${named}`, more);
          keep({ what: loss === 0 ? 'first' : 'first with loss', browser: name, ms: more.first });
          assert.deepEqual(unopened(more), [], 'every frame that came opened');
          assert.deepEqual([more.width > 0, more.height > 0], [true, true]);
        });
      }
    }
  });
}

/** Has a browser join as a camera of the household. */
async function joinCamera(browser, name) {
  const invite = await house.invite('camera', name);
  const app = await App.join(browser, town.url, invite.code);
  await invite.joined;
  return app;
}

/** Notes what a browser cannot send or play, so that it is listed. */
async function tellLacks(app) {
  const { send, receive, version } = await app.tab.evaluate(() => {
    const names = (side) => [
      ...new Set(side.getCapabilities('video').codecs.map(({ mimeType }) => mimeType.slice(6))),
    ];
    return {
      send: names(RTCRtpSender),
      receive: names(RTCRtpReceiver),
      version: navigator.userAgent.split(' ').at(-1),
    };
  });
  for (const codec of ['H264', 'VP8', 'VP9', 'AV1']) {
    const without = [!send.includes(codec) && 'send', !receive.includes(codec) && 'play'].filter(Boolean);
    if (without.length > 0)
      lacking.push(`${app.browser} (${version}) cannot ${without.join(' or ')} ${codec} over WebRTC`);
  }
  app.lacksH264 = !receive.includes('H264');
}

/** Numbers in a file: every frame has one; `each`: and hardly one is left out, as a browser that films may and a bad network does. */
function assertCounts(numbers, each) {
  assert.ok(!numbers.includes(undefined), `a number that cannot be read: ${numbers}`);
  const steps = numbers.slice(1).map((number, at) => (number - numbers[at] + FRAMES) % FRAMES);
  if (each) {
    const next = steps.filter((step) => step === 1).length;
    assert.ok(next >= 0.9 * steps.length, `steps ${steps}`);
  }
  assert.ok(new Set(numbers).size > ENOUGH / 2, `${numbers}`);
}

/** Numbers on the screen: they can be read, and go on. A browser that films begins with a coarse picture on a busy machine. */
async function assertRuns(app, loss) {
  let numbers;
  await eventually('numbers that go on', async () => {
    numbers = (await app.numbers(10)).map(({ number }) => number);
    const readable = numbers.filter((number) => number !== undefined);
    const enough = loss === 0 ? numbers.length - 1 : numbers.length / 2;
    return readable.length >= enough && new Set(readable).size > readable.length / 3;
  }).catch((error) => assert.fail(`${error.message}: ${numbers}`));
}

/** The clip's colours, as soon as the picture is no coarse one. */
async function assertColours(app) {
  let wrong;
  await eventually('the colours of the clip', async () => {
    wrong = wrongPlaces(await app.pixels());
    return wrong.length === 0;
  }).catch((error) => assert.fail(`${error.message}: ${wrong.join(', ')}`));
}

/** A picture that is not black, whatever it shows. */
async function assertBright(app) {
  let brightest;
  await eventually('a bright picture', async () => {
    brightest = Math.max(...(await app.pixels()).flat());
    return brightest > 64;
  }).catch((error) => assert.fail(`${error.message}: ${brightest}`));
}

/** One line for people. */
function say(what, { first, decoded, plis, nacks, freezes, width, height }) {
  console.log(
    `${what}: first picture ${Math.round(first)} ms after the click, ${decoded} decoded, ` +
      `${width}x${height}, ${plis} PLI, ${nacks} NACK, ${freezes} freezes`,
  );
}

function nameOf(camera) {
  return `Camera ${camera}`;
}

function slug(text) {
  return text.replace(/\W+/g, '-').toLowerCase();
}
