/** Real browsers as legs of a real relay, without a household: every way from a camera to a viewer, sealed. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { BROWSERS, launch } from './harness/browsers.js';
import { GRID, wrongPlaces } from './harness/clip.js';
import { BrowserLeg, closeSite } from './harness/leg.js';
import { clips } from './harness/places.js';
import { eventually, pause } from './harness/programs.js';
import { Relay, nativeLeg, newRoom } from './harness/relay.js';

/** Frames that each way must bring: two key frames of the clip lie in them. */
const ENOUGH = 75;
const CLIPS = { H264: 'doorbell.mp4', VP8: 'doorbell-vp8.ivf' };
/** The bad network is in app.test.js, where the app's own patience is. */
const FAIR = { named: 'clean', network: undefined };

const browsers = {};
before(async () => {
  for (const name of BROWSERS) browsers[name] = await launch(name);
  console.log(
    Object.values(browsers, ({ version }) => version)
      .map(({ name, version }) => `${name} ${version}`)
      .join(', '),
  );
});
after(async () => {
  for (const browser of Object.values(browsers)) await browser.close();
  await closeSite();
});

/** Runs `work` with a relay and a room, and ends whatever it started. */
async function within(network, work) {
  const relay = await Relay.start({ network });
  const started = [];
  const end = (leg) => (started.push(leg), leg);
  try {
    return await work({ relay, room: newRoom(), end });
  } catch (error) {
    console.error(relay.log.slice(-12).join('\n'));
    throw error;
  } finally {
    for (const leg of started.reverse()) await (leg.end?.() ?? leg.close()).catch(() => {});
    await relay.end();
  }
}

/** Starts a native camera with picture and sound. */
async function nativeCamera({ relay, room, end }, codec) {
  const files = [`${clips}/${CLIPS[codec]}`, `${clips}/doorbell.opus.ogg`];
  const camera = end(nativeLeg('camera', { ...relay.way('publish', room), files }));
  await camera.event('secured');
  await isLive(relay);
  return camera;
}

async function browserCamera({ relay, room, end }, name, codec) {
  const camera = end(await BrowserLeg.open(browsers[name]));
  await camera.publish(relay.way('publish', room), { codec, descriptor: true });
  await isLive(relay);
  return camera;
}

/** The relay holds frames back until eight of them are shaped like ours. */
function isLive(relay) {
  return eventually('frames that the relay takes', () =>
    relay.log.some((line) => line.includes('media is sealed track=TrackId(0)')),
  );
}

/** What must hold for every browser that watched; returns the figures of the end. */
async function assertWatched(leg, lossy) {
  // What is opened is decoded, sooner or later: how soon is the machine's affair.
  const share = lossy ? 0.8 : 0.9;
  const figures = await eventually('most of the opened frames to be decoded', async () => {
    const now = await leg.figures();
    return now.rtp['in video'].framesDecoded >= share * now.tallies['open video'].frames && now;
  });
  const { 'open video': video, 'open audio': audio } = figures.tallies;
  assert.equal(video.failed, 0, video.lastFailure);
  assert.equal(audio.failed, 0, audio.lastFailure);
  assert.equal(video.typeWrong, 0, 'the browser takes key frames for others, or the other way round');
  assert.ok(video.keys >= 1 && audio.frames > 0, JSON.stringify(figures.tallies));
  return figures;
}

/** One line for people. */
function say(what, figures) {
  const { framesDecoded, pliCount, nackCount, freezeCount } = figures.rtp['in video'];
  const first = Math.round(figures.timings.firstFrame);
  const { frames, keys, repeated, late, empty, micros } = figures.tallies['open video'];
  const each = Math.round(micros / frames);
  console.log(
    `${what}: first frame ${first} ms after the call, ${framesDecoded} of ${frames} decoded, ${keys} key, ` +
      `${pliCount} PLI, ${nackCount} NACK, ${freezeCount ?? 0} freezes, ${repeated} repeated, ${late} late, ${empty} empty, ${each} us to open`,
  );
}

for (const { named, network } of [FAIR]) {
  describe(`a native camera, ${named}`, () => {
    for (const viewer of BROWSERS) {
      for (const codec of ['VP8', 'H264']) {
        if (viewer === 'firefox' && codec === 'H264') continue;
        test(`native ${codec} to ${viewer}, ${named}`, () =>
          within(network, async (house) => {
            await nativeCamera(house, codec);
            const leg = house.end(await BrowserLeg.open(browsers[viewer]));
            assert.equal(await leg.watch(house.relay.way('view', house.room), { descriptor: true }), codec);
            await leg.decoded(ENOUGH);
            const figures = await assertWatched(leg, network);
            say(`native ${codec} to ${viewer}, ${named}`, figures);
            assert.deepEqual([figures.width, figures.height], [640, 360]);
            await leg.tab.screenshot(`native-${codec}-${named.replace(/\W+/g, '-')}`);
            if (!network) assert.deepEqual(wrongPlaces(await leg.pixels(GRID)), []);
            assert.equal(await leg.leave(), 200);
          }));
      }
    }
  });

  describe(`a browser as camera, ${named}`, () => {
    for (const camera of BROWSERS) {
      // VP8 of a browser goes through the app.
      for (const codec of ['VP9', 'AV1']) {
        test(`${camera} ${codec} to native, chromium and firefox, ${named}`, () =>
          within(network, async (house) => {
            const { relay, room, end } = house;
            const sending = await browserCamera(house, camera, codec);
            const native = end(nativeLeg('viewer', relay.way('view', room)));
            const watching = [];
            for (const viewer of BROWSERS) {
              const leg = end(await BrowserLeg.open(browsers[viewer]));
              assert.equal(await leg.watch(relay.way('view', room), { descriptor: true }), codec);
              watching.push(leg);
            }
            for (const leg of watching) {
              await leg.decoded(ENOUGH);
              say(`${camera} ${codec} to ${leg.tab.browser}, ${named}`, await assertWatched(leg, network));
              await leg.tab.screenshot(`${camera}-${codec}-${named.replace(/\W+/g, '-')}`);
              const brightest = Math.max(...(await leg.pixels(GRID)).flat());
              assert.ok(brightest > 64, `the picture is dark: ${brightest}`);
            }
            const told = await native.until(`${ENOUGH} frames`, ({ video }) => video >= ENOUGH);
            const first = native.newest('first');
            console.log(
              `${camera} ${codec} to native, ${named}: first frame ${first.after_ms} ms after the call`,
            );
            assert.deepEqual([told.failed, told.typeWrong], [0, 0], told.lastFailure);
            const sent = (await sending.figures()).tallies['seal video'];
            assert.ok(sent.frames >= ENOUGH && sent.failed === 0, JSON.stringify(sent));
          }));
      }
    }
  });
}

describe('a request for a key frame', () => {
  for (const camera of BROWSERS) {
    test(`${camera} as camera answers it, and many of chromium as viewer raise no storm`, () =>
      within(undefined, async (house) => {
        const sending = await browserCamera(house, camera, 'VP8');
        const watching = house.end(await BrowserLeg.open(browsers.chromium));
        await watching.watch(house.relay.way('view', house.room), { descriptor: true });
        await watching.decoded(ENOUGH);
        const made = async () => (await sending.figures()).tallies['seal video'].keys;
        const came = async () => (await watching.figures()).tallies['open video'].keys;
        const [madeBefore, cameBefore] = [await made(), await came()];
        assert.equal(await watching.askKeyFrame(), 'asked');
        await eventually(
          'a key frame that the camera made for it',
          async () => (await made()) > madeBefore && (await came()) > cameBefore,
        );

        const before = await made();
        const began = performance.now();
        for (let asked = 0; asked < 40; asked++) {
          await watching.askKeyFrame();
          await pause(100);
        }
        const [keys, seconds] = [(await made()) - before, (performance.now() - began) / 1000];
        const { 'seal video': sealed } = (await sending.figures()).tallies;
        console.log(`${camera} as camera: ${keys} key frames for 40 requests in ${seconds.toFixed(1)} s`);
        assert.ok(keys >= 1 && keys <= seconds + 2, `${keys} key frames in ${seconds} s`);
        assert.equal(sealed.failed, 0, sealed.lastFailure);
        const late = house.end(await BrowserLeg.open(browsers.chromium));
        await late.watch(house.relay.way('view', house.room), { descriptor: true });
        await late.decoded(1);
        const { 'open video': opened } = (await late.figures()).tallies;
        assert.equal(opened.failed, 0, opened.lastFailure);
      }));
  }
});

describe('what must not happen', () => {
  for (const name of BROWSERS) {
    test(`${name} in the clear is refused by the relay`, () =>
      within(undefined, async ({ relay, room, end }) => {
        const leg = end(await BrowserLeg.open(browsers[name]));
        await leg.publish(relay.way('publish', room), { codec: 'VP8', plain: true });
        // The session's own address says why it has ended (RFC 9457, code frames-not-sealed).
        await eventually('the end of the session', async () => (await leg.session()).status === 410);
        assert.match((await leg.session()).body, /frames-not-sealed/);
      }));

    test(`${name} with another key sees nothing and raises no storm of key frames`, () =>
      within(undefined, async (house) => {
        const camera = await nativeCamera(house, 'VP8');
        const leg = house.end(await BrowserLeg.open(browsers[name]));
        const stranger = { ...house.relay.way('view', house.room), key: newRoom().key };
        await leg.watch(stranger);
        await eventually('frames that do not open', async () => {
          const { tallies } = await leg.figures();
          return tallies['open video'].failed >= ENOUGH;
        });
        const figures = await leg.figures();
        assert.equal(figures.tallies['open video'].frames, 0);
        assert.equal(figures.rtp['in video'].framesDecoded ?? 0, 0);
        assert.equal(figures.width, 0, 'no picture');
        // One a second at most reaches the camera; it may also have been asked when the room was made.
        await pause(2_000);
        const { wanted } = camera.newest('figures');
        const seconds = camera.newest('figures').frames / 25;
        console.log(`${name} with another key: ${wanted} key frames wanted in ${Math.round(seconds)} s`);
        assert.ok(wanted <= seconds + 2, `${wanted} in ${seconds} s`);
      }));
  }

  test('firefox is told that it gets no H264 picture, and hears the sound', () =>
    within(undefined, async (house) => {
      await nativeCamera(house, 'H264');
      const leg = house.end(await BrowserLeg.open(browsers.firefox));
      const codecs = await leg.tab.evaluate(() =>
        RTCRtpReceiver.getCapabilities('video').codecs.map(({ mimeType }) => mimeType),
      );
      assert.ok(!codecs.includes('video/H264'), 'firefox has H264 here: let it watch native H264 as well');
      // Sound is common, so the relay lets it in, and says of the picture that none will come.
      assert.equal(await leg.watch(house.relay.way('view', house.room)), undefined);
      const { answer } = await leg.tab.evaluate(() => window.leg.sdp);
      assert.match(answer.split(/^m=/m)[1], /^video [\s\S]*a=inactive/);
      await eventually('sound', async () => (await leg.figures()).tallies['open audio'].frames > ENOUGH);
      assert.equal((await leg.figures()).tallies['open video'].frames, 0);
    }));
});
