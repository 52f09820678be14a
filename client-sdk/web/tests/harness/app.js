/** The app in a tab, used as a person uses it; and what can be read off it without changing it. */

import { GRID } from './clip.js';
import { MIDDLES, PICTURE, numberIn } from './counted.js';
import { eventually, pause } from './programs.js';

/** The counts of frames that did not open, without those of repeats: a relay that repairs a loss may send a frame twice. */
export function unopened({ failed }) {
  return failed.filter(({ reason }) => reason !== 'replayed');
}

/** A tab with the app. */
export class App {
  /** @param {import('./browsers.js').Page} tab */
  constructor(tab, url) {
    this.tab = tab;
    this.url = url;
  }

  /**
   * Opens the app in a new tab.
   * @param {import('./browsers.js').Browser} person
   * @param {string} url of the server
   * @param {string} [hash] what stands behind the address, for instance an invite
   * @param {{isolated?: boolean}} [options] cross-origin isolated, so that clocks are fine
   */
  static async open(person, url, hash = '', { isolated = false } = {}) {
    const tab = await person.page();
    if (isolated) await tab.isolate();
    await tab.before(watchOver);
    const app = new App(tab, url);
    await tab.goto(`${url}/${hash}`);
    await app.opened();
    return app;
  }

  /** Opens an invite's link in a new tab, and returns when this browser is in the household. */
  static async join(person, url, code, options) {
    const app = await App.open(person, url, `#${code}`, options);
    await app.inside();
    return app;
  }

  get browser() {
    return this.tab.browser;
  }

  /** Waits until the worker has read what the browser keeps. */
  opened() {
    return this.until(
      'the app to open',
      ({ text }) => text !== '' && !text.includes('Opening what this browser keeps'),
    );
  }

  /** Waits until the pages of a member show. */
  inside() {
    return this.until('the pages of a household', ({ text }) => text.includes('Settings'));
  }

  /** What stands on the page. */
  text() {
    return this.tab.evaluate(() => document.body?.innerText ?? '');
  }

  /** Waits until what the page shows is as wanted; returns what it showed. */
  async until(what, wanted) {
    let shown;
    try {
      return await eventually(what, async () => {
        shown = await this.tab.evaluate(() => ({
          text: document.body?.innerText ?? '',
          phase: document.querySelector('.stage')?.dataset.phase,
        }));
        return (await wanted(shown)) && shown;
      });
    } catch (error) {
      const log = this.tab.log.slice(-6).join(' | ');
      throw new Error(
        `${this.browser}: ${error.message}; it shows: ${shown?.text.replace(/\s+/g, ' ').slice(0, 2000)} ${log}`,
      );
    }
  }

  /** Waits for words on the page. */
  says(words) {
    return this.until(`"${words}"`, ({ text }) => text.includes(words));
  }

  /** Presses the first button or link whose words begin so, when it is there. */
  async press(words, within = 'body') {
    await eventually(`a button "${words}" in ${this.browser}`, () =>
      this.tab.evaluate(
        ({ words, within }) => {
          const all = [...document.querySelectorAll(`${within} :is(button, a, [role=button])`)];
          const found = all.find(
            (one) => (one.innerText || one.ariaLabel || '').trim().startsWith(words) && !one.disabled,
          );
          found?.click();
          return found !== undefined;
        },
        { words, within },
      ),
    );
  }

  /** Writes into the field with this label, or chooses there. */
  async fill(label, value) {
    await eventually(`a field "${label}" in ${this.browser}`, () =>
      this.tab.evaluate(
        ({ label, value }) => {
          const found = [...document.querySelectorAll('label')].find((one) =>
            one.innerText.trim().startsWith(label),
          );
          const field = found?.control ?? found?.querySelector('input, select, textarea');
          if (!field) return false;
          const { set } = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), 'value');
          set.call(field, value);
          field.dispatchEvent(new Event('input', { bubbles: true }));
          field.dispatchEvent(new Event('change', { bubbles: true }));
          return true;
        },
        { label, value },
      ),
    );
  }

  /** Goes to a page of the app. */
  go(hash) {
    return this.tab.evaluate((hash) => {
      window.seen.asked = performance.now();
      window.seen.pictures = [];
      location.hash = hash;
    }, hash);
  }

  /** Goes to the camera of this name. What it shows then is counted from here. */
  async watch(name) {
    await eventually(`the camera "${name}" in ${this.browser}`, () =>
      this.tab.evaluate((name) => {
        // Whoever joins where there is one camera is led to it.
        if (location.hash.startsWith('#/camera/')) return void (location.hash = '#/');
        const all = [...document.querySelectorAll('main a[href^="#/camera/"]')];
        const found = all.find((link) => link.innerText.includes(name));
        if (!found) return false;
        window.seen.asked = performance.now();
        window.seen.pictures = [];
        window.seen.told = [];
        found.click();
        return true;
      }, name),
    );
    return this;
  }

  /** Waits until so many frames were decoded on the newest connection; returns the figures then. */
  async decoded(frames) {
    let last;
    return eventually(`${frames} decoded frames in ${this.browser}`, async () => {
      last = await this.figures();
      return last.decoded >= frames && last.phase === 'live' && last;
    }).catch(async (error) => {
      const text = (await this.text()).replace(/\s+/g, ' ').slice(0, 700);
      throw new Error(
        `${error.message}: ${JSON.stringify(last)}; it shows: ${text} ${this.tab.log.slice(-6).join(' | ')}`,
      );
    });
  }

  /** Everything that can be counted. */
  figures() {
    return this.tab.evaluate(async () => {
      const { seen } = window;
      const peer = seen.peers.at(-1);
      const reports = peer === undefined ? [] : [...(await peer.getStats()).values()];
      const video = reports.find(({ type, kind }) => type === 'inbound-rtp' && kind === 'video') ?? {};
      const sent = reports.filter(({ type, kind }) => type === 'outbound-rtp' && kind === 'video');
      const told = seen.told.findLast(({ event }) => event === 'figures')?.figures;
      const sending = seen.told.findLast(({ event }) => event === 'sending')?.figures;
      const shown = document.querySelector('video');
      return {
        phase: document.querySelector('.stage')?.dataset.phase,
        connections: seen.peers.length,
        open: seen.peers.filter(({ connectionState }) => connectionState !== 'closed').length,
        decoded: video.framesDecoded ?? 0,
        received: video.framesReceived ?? 0,
        packets: video.packetsReceived ?? 0,
        plis: video.pliCount ?? 0,
        nacks: video.nackCount ?? 0,
        freezes: video.freezeCount ?? 0,
        sent: sent.map(({ rid, framesEncoded, frameWidth }) => ({ rid, framesEncoded, frameWidth })),
        opened: told?.openedVideo ?? 0,
        openedAudio: told?.openedAudio ?? 0,
        failed: told?.failed ?? [],
        authenticity: told?.authenticity,
        sealed: sending?.sealedVideo ?? 0,
        width: shown?.videoWidth ?? 0,
        height: shown?.videoHeight ?? 0,
        pictures: seen.pictures.length,
        /** Milliseconds from asking for the camera to the first picture on the screen. */
        first: seen.pictures.length > 0 ? seen.pictures[0] - seen.asked : undefined,
        /** The same from the page's load on. */
        fromLoad: seen.pictures[0],
      };
    });
  }

  /** Events of the worker, in order. */
  told(event) {
    return this.tab.evaluate((event) => window.seen.told.filter((told) => told.event === event), event);
  }

  /** When pictures showed since a moment of the wall clock, in its milliseconds; the first one at or after it. */
  pictureSince(moment) {
    return this.tab.evaluate((moment) => {
      const at = window.seen.pictures.find((at) => performance.timeOrigin + at >= moment);
      return at === undefined ? undefined : performance.timeOrigin + at;
    }, moment);
  }

  /** The picture as a grid of colours, see {@link GRID}. */
  pixels() {
    return this.tab.evaluate(({ columns, rows }) => {
      const canvas = new OffscreenCanvas(columns, rows);
      const context = canvas.getContext('2d', { willReadFrequently: true });
      context.drawImage(document.querySelector('video'), 0, 0, columns, rows);
      const { data } = context.getImageData(0, 0, columns, rows);
      return Array.from({ length: columns * rows }, (_, at) => [...data.subarray(4 * at, 4 * at + 3)]);
    }, GRID);
  }

  /** The number that is burnt into the picture; undefined where none can be read. */
  async number() {
    const brightness = await this.tab.evaluate(
      ({ middles, width, height }) => {
        const canvas = new OffscreenCanvas(width, height);
        const context = canvas.getContext('2d', { willReadFrequently: true });
        context.drawImage(document.querySelector('video'), 0, 0, width, height);
        return middles.map(({ x, y }) => {
          const { data } = context.getImageData(x - 2, y - 2, 5, 5);
          let sum = 0;
          for (let at = 0; at < data.length; at += 4) sum += (data[at] + data[at + 1] + data[at + 2]) / 3;
          return sum / 25;
        });
      },
      { middles: MIDDLES, ...PICTURE },
    );
    return numberIn(brightness);
  }

  /** Numbers read off the picture one after the other, with the moment of each. */
  async numbers(count, every = 120) {
    const read = [];
    for (let at = 0; at < count; at++) {
      read.push({ number: await this.number(), at: Date.now() });
      await pause(every);
    }
    return read;
  }

  screenshot(name) {
    return this.tab.screenshot(name);
  }

  close() {
    return this.tab.close();
  }
}

/** Notes connections, the worker's events and pictures; runs before the app and changes nothing of what it does. */
function watchOver() {
  const seen = (window.seen = { peers: [], told: [], pictures: [], opening: [], asked: 0 });
  const Peer = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Peer {
    constructor(...given) {
      super(...given);
      seen.peers.push(this);
    }
  };
  const Thread = window.Worker;
  window.Worker = class extends Thread {
    constructor(...given) {
      super(...given);
      this.addEventListener('message', ({ data }) => {
        if (data?.event === 'opening') seen.opening.push(...data.micros);
        else if (data?.event) seen.told.push({ ...data, at: Date.now() });
      });
    }
  };
  const looked = new WeakSet();
  setInterval(() => {
    const video = document.querySelector('video');
    if (!video || looked.has(video)) return;
    looked.add(video);
    const show = (now, { rtpTimestamp }) => {
      // A track that ends is drawn once more, in black: only what came by RTP is a picture.
      if (rtpTimestamp !== undefined) seen.pictures.push(performance.now());
      video.requestVideoFrameCallback(show);
    };
    video.requestVideoFrameCallback(show);
  }, 20);
}
