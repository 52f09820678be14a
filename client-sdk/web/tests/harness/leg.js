/** One leg in a browser: the bare page, opened and asked. */

import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from './programs.js';
import { serve } from './site.js';

const folder = path.resolve(fileURLToPath(import.meta.url), '../../bare');
let site;

/** Where the bare page is; started when first asked for. */
async function page() {
  site ??= serve(folder);
  return (await site).url;
}

/** Ends the host of the bare page. */
export async function closeSite() {
  await (await site)?.close();
  site = undefined;
}

/** A tab with the bare page. */
export class BrowserLeg {
  /** @param {import('./browsers.js').Page} tab */
  constructor(tab) {
    this.tab = tab;
  }

  /** @param {import('./browsers.js').Browser} browser */
  static async open(browser) {
    const tab = await browser.page();
    await tab.goto(await page());
    await eventually('the bare page', () => tab.evaluate(() => 'leg' in window));
    return new BrowserLeg(tab);
  }

  /** Watches; returns the video codec of the answer. */
  watch(way, options = {}) {
    return this.tab.evaluate((order) => window.leg.watch(order), { ...way, ...options });
  }

  /** Publishes the browser's own camera. */
  publish(way, options) {
    return this.tab.evaluate((order) => window.leg.publish(order), { ...way, ...options });
  }

  figures() {
    return this.tab.evaluate(() => window.leg.figures());
  }

  pixels(grid) {
    return this.tab.evaluate((wanted) => window.leg.pixels(wanted), grid);
  }

  /** What the relay says of its session: status and body. */
  session() {
    return this.tab.evaluate(() => window.leg.session());
  }

  /** Asks the camera for a key frame; returns "asked" where the browser did. */
  askKeyFrame() {
    return this.tab.evaluate(() => window.leg.askKeyFrame());
  }

  leave() {
    return this.tab.evaluate(() => window.leg.leave());
  }

  /** Waits until so many video frames were decoded; returns the figures then. */
  decoded(frames) {
    return eventually(`${frames} decoded frames in ${this.tab.browser}`, async () => {
      const figures = await this.figures();
      this.last = figures;
      return (figures.rtp['in video']?.framesDecoded ?? 0) >= frames && figures;
    }).catch((error) => {
      throw new Error(`${error.message}: ${JSON.stringify(this.last)} ${this.tab.log.join(' | ')}`);
    });
  }

  close() {
    return this.tab.close();
  }
}
