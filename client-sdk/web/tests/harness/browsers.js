/** Real browsers behind one small interface: Chromium by Playwright, Firefox by Puppeteer over WebDriver BiDi. */

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';
import puppeteer from 'puppeteer-core';
import { artifacts } from './places.js';
import { childrenOf } from './threads.js';

/** @typedef {'chromium' | 'firefox'} BrowserName */

/** Both browsers, in the order in which tests run them. @type {BrowserName[]} */
export const BROWSERS = ['chromium', 'firefox'];

/**
 * What a test does with a page. Functions given to `evaluate` run in the page and see their one argument only.
 * @typedef {object} Page
 * @property {BrowserName} browser
 * @property {string[]} log what the page wrote to its console, and errors that nobody caught
 * @property {(url: string) => Promise<void>} goto
 * @property {() => Promise<void>} isolate has pages of this tab cross-origin isolated, so that their clocks are fine
 * @property {(run: () => void) => Promise<void>} before runs in every page of this tab before its own code
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
 * @property {number | undefined} pid of its first process
 * @property {() => Promise<Page>} page opens a tab
 * @property {() => Promise<Browser>} person the same program as somebody else has it: nothing stored is shared
 * @property {() => Promise<void>} close ends all processes and removes the profile; may be called twice
 */

/**
 * Starts a browser with a fresh profile. Its camera is made up: a moving test picture, or `fakeVideo` (y4m) in Chromium.
 * @param {BrowserName} name
 * @param {{fakeVideo?: string, flags?: string[], prefs?: Record<string, unknown>}} [options]
 * @returns {Promise<Browser>}
 */
export async function launch(name, options = {}) {
  if (name === 'chromium') return launchChromium(options);
  const profile = await mkdtemp(path.join(tmpdir(), `latchkey-${name}-`));
  try {
    return await launchFirefox(profile, options);
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

async function launchChromium(options) {
  const mine = childrenOf(process.pid);
  const browser = await chromium.launch({
    executablePath: executable('chromium'),
    headless: false,
    env: surroundings(),
    timeout: SLOW_MS,
    args: [...CHROMIUM_FLAGS, ...fakeVideo(options), ...(options.flags ?? [])],
  });
  const pid = childrenOf(process.pid).find((child) => !mine.includes(child));
  const end = ending(() => browser.close());
  const person = async (close) => {
    const context = await browser.newContext({
      viewport: { width: 1280, height: 800 },
      permissions: PERMISSIONS,
    });
    return {
      name: 'chromium',
      version: browser.version(),
      pid,
      async page() {
        const page = await context.newPage();
        page.setDefaultTimeout(SLOW_MS);
        const log = listen(page);
        return around('chromium', page, log, {
          resize: (width, height) => page.setViewportSize({ width, height }),
          before: (run) => page.addInitScript(run),
          isolate: async () => {
            // Chromium does not know where an answer comes from that a test has changed: sockets would be refused to its page.
            await context.grantPermissions([...PERMISSIONS, 'local-network-access']);
            await context.route('**/*', isolated);
          },
        });
      },
      person: () => person(),
      close: close ?? ending(() => context.close()),
    };
  };
  return person(end);
}

async function launchFirefox(profile, options) {
  const browser = await puppeteer.launch({
    browser: 'firefox',
    executablePath: executable('firefox'),
    headless: true,
    env: surroundings(),
    timeout: SLOW_MS,
    userDataDir: profile,
    args: options.flags ?? [],
    extraPrefsFirefox: { ...FIREFOX_PREFS, ...options.prefs },
    defaultViewport: { width: 1280, height: 800 },
  });
  const end = ending(async () => {
    await browser.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  });
  const version = await browser.version();
  const person = async (close) => {
    const context = close ? browser.defaultBrowserContext() : await browser.createBrowserContext();
    return {
      name: 'firefox',
      version,
      pid: browser.process()?.pid,
      async page() {
        const page = await context.newPage();
        page.setDefaultTimeout(SLOW_MS);
        const log = listen(page);
        return around('firefox', page, log, {
          resize: (width, height) => page.setViewport({ width, height }),
          before: (run) => page.evaluateOnNewDocument(run),
          // Its clocks are made fine by a preference.
          isolate: () => undefined,
        });
      },
      person: () => person(),
      close: close ?? ending(() => context.close()),
    };
  };
  return person(end);
}

/**
 * The environment of a browser: this process's own, but for a home that is its own, can be written and is gone afterwards, and
 * for what this machine's people speak.
 */
function surroundings() {
  if (home === undefined) {
    home = mkdtempSync(path.join(tmpdir(), 'latchkey-home-'));
    process.on('exit', () => rmSync(home, { recursive: true, force: true }));
  }
  const { HOME, XDG_CONFIG_HOME, XDG_CACHE_HOME, XDG_DATA_HOME, ...kept } = process.env;
  return { ...kept, HOME: home, LANGUAGE: 'en' };
}
let home;

/** Answers a request as the server does, with the header that isolates a page. */
async function isolated(route) {
  if (route.request().method() !== 'GET') return route.continue();
  const response = await route.fetch();
  await route.fulfill({
    response,
    headers: { ...response.headers(), 'cross-origin-embedder-policy': 'require-corp' },
  });
}

/** What a page writes to its console from now on. */
function listen(page) {
  const log = [];
  page.on('console', (message) => log.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => log.push(`uncaught: ${error.message}`));
  return log;
}

/** @returns {Page} */
function around(browser, page, log, { resize, before, isolate }) {
  return {
    browser,
    log,
    driver: page,
    goto: async (url) => void (await page.goto(url)),
    before: async (run) => void (await before(run)),
    isolate: async () => void (await isolate()),
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

/** How long a browser may take to start, or to do what it is told, on a slow machine: a fresh profile alone takes half a minute there. */
const SLOW_MS = 180_000;
const PERMISSIONS = ['camera', 'microphone'];
const CHROMIUM_FLAGS = [
  '--headless=new',
  '--no-sandbox',
  '--disable-gpu',
  // Containers have little of that memory.
  '--disable-dev-shm-usage',
  '--no-proxy-server',
  '--lang=en-US',
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
  'network.proxy.type': 0,
  'intl.accept_languages': 'en-US',
};
