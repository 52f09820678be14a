/** Real browsers behind one small interface: Chromium by Playwright, Firefox by Puppeteer over WebDriver BiDi. */

import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';
import puppeteer from 'puppeteer-core';
import { artifacts } from './places.js';

/** @typedef {'chromium' | 'firefox'} BrowserName */

/** Both browsers, in the order in which tests run them. @type {BrowserName[]} */
export const BROWSERS = ['chromium', 'firefox'];

/**
 * What a test does with a page. Functions given to `evaluate` run in the page and see their one argument only.
 * @typedef {object} Page
 * @property {BrowserName} browser
 * @property {string[]} log what the page wrote to its console, and errors that nobody caught
 * @property {(url: string) => Promise<void>} goto
 * @property {<A, R>(run: (argument: A) => R | Promise<R>, argument?: A) => Promise<R>} evaluate
 * @property {(name: string) => Promise<string>} screenshot returns the file's path
 * @property {(width: number, height: number) => Promise<void>} resize
 * @property {() => Promise<void>} reload
 * @property {() => Promise<void>} close
 * @property {object} driver Playwright's or Puppeteer's own page, for what only one of them can
 */

/**
 * @typedef {object} Browser
 * @property {BrowserName} name
 * @property {string} version
 * @property {() => Promise<Page>} page opens a tab
 * @property {() => Promise<void>} close ends all processes and removes the profile; may be called twice
 */

/**
 * Starts a browser with a fresh profile. Its camera is made up: a moving test picture, or `fakeVideo` (y4m) in Chromium.
 * @param {BrowserName} name
 * @param {{fakeVideo?: string, flags?: string[], prefs?: Record<string, unknown>}} [options]
 * @returns {Promise<Browser>}
 */
export async function launch(name, options = {}) {
  const profile = await mkdtemp(path.join(tmpdir(), `latchkey-${name}-`));
  try {
    return name === 'chromium'
      ? await launchChromium(profile, options)
      : await launchFirefox(profile, options);
  } catch (error) {
    await rm(profile, { recursive: true, force: true });
    throw error;
  }
}

/** The programs, or the sentence that says how to get one. @param {BrowserName} name */
export function executable(name) {
  const named = process.env[`LATCHKEY_${name.toUpperCase()}`];
  const usual =
    name === 'chromium' ? ['chromium', 'chromium-browser', 'google-chrome'] : ['firefox-esr', 'firefox'];
  const found = named ?? usual.map((file) => `/usr/bin/${file}`).find((file) => existsSync(file));
  if (!found) {
    const debian = name === 'chromium' ? 'chromium' : 'firefox-esr';
    throw new Error(
      `${name} is not here: install it (apt install ${debian}), or name it in LATCHKEY_${name.toUpperCase()}`,
    );
  }
  return found;
}

async function launchChromium(profile, options) {
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: executable('chromium'),
    headless: false,
    // Playwright's own switches would turn features off that users have.
    args: [...CHROMIUM_FLAGS, ...fakeVideo(options), ...(options.flags ?? [])],
    viewport: { width: 1280, height: 800 },
    permissions: ['camera', 'microphone'],
  });
  const end = ending(async () => {
    await context.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  });
  return {
    name: 'chromium',
    version: context.browser()?.version() ?? 'unknown',
    async page() {
      const page = await context.newPage();
      const log = [];
      page.on('console', (message) => log.push(`${message.type()}: ${message.text()}`));
      page.on('pageerror', (error) => log.push(`uncaught: ${error.message}`));
      return around('chromium', page, log, (width, height) => page.setViewportSize({ width, height }));
    },
    close: end,
  };
}

async function launchFirefox(profile, options) {
  const browser = await puppeteer.launch({
    browser: 'firefox',
    executablePath: executable('firefox'),
    headless: true,
    userDataDir: profile,
    args: options.flags ?? [],
    extraPrefsFirefox: { ...FIREFOX_PREFS, ...options.prefs },
    defaultViewport: { width: 1280, height: 800 },
  });
  const end = ending(async () => {
    await browser.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  });
  return {
    name: 'firefox',
    version: await browser.version(),
    async page() {
      const page = await browser.newPage();
      const log = [];
      page.on('console', (message) => log.push(`${message.type()}: ${message.text()}`));
      page.on('pageerror', (error) => log.push(`uncaught: ${error.message}`));
      return around('firefox', page, log, (width, height) => page.setViewport({ width, height }));
    },
    close: end,
  };
}

/** @returns {Page} */
function around(browser, page, log, resize) {
  return {
    browser,
    log,
    driver: page,
    goto: async (url) => void (await page.goto(url)),
    evaluate: (run, argument) => page.evaluate(run, argument),
    async screenshot(name) {
      await mkdir(artifacts, { recursive: true });
      const file = path.join(artifacts, `${name}-${browser}.png`);
      await page.screenshot({ path: file });
      return file;
    },
    resize,
    reload: async () => void (await page.reload()),
    close: async () => void (await page.close()),
  };
}

/** Runs `end` once, however often it is called. */
function ending(end) {
  let ended;
  return () => (ended ??= end());
}

function fakeVideo(options) {
  return options.fakeVideo ? [`--use-file-for-fake-video-capture=${options.fakeVideo}`] : [];
}

const CHROMIUM_FLAGS = [
  '--headless=new',
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  '--autoplay-policy=no-user-gesture-required',
  '--disable-features=WebRtcHideLocalIpsWithMdns',
  '--allow-loopback-in-peer-connection',
];

/** A made-up camera without a question, sound without a gesture, and addresses of this machine in the open. */
const FIREFOX_PREFS = {
  'media.peerconnection.ice.obfuscate_host_addresses': false,
  'media.navigator.streams.fake': true,
  'media.navigator.permission.disabled': true,
  'media.autoplay.default': 0,
  'media.autoplay.blocking_policy': 0,
};
