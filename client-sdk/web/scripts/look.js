/** Takes a picture of every page over the development fake, narrow and wide, light and dark, and runs axe-core on each. */

import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';
import { createServer } from 'vite';

const out = process.env.LATCHKEY_LOOK_OUT ?? '/tmp/latchkey-look';
const only = process.argv.slice(2);
const require = createRequire(import.meta.url);
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

/** Pages that are looked at at the same time. */
const AT_ONCE = 3;

/** Name, scene, page, and what to do there before the picture. */
const PAGES = [
  ['welcome', 'new', '#/'],
  ['found', 'new', '#/found'],
  ['words', 'new', '#/found', (page) => page.getByRole('button', { name: 'Next' }).click()],
  ['ask-back', 'new', '#/found', askBack],
  ['join', 'new', '#/join'],
  ['join-invite', 'new', '#/join', (page) => page.getByRole('button', { name: /I have an invite/ }).click()],
  ['join-qr', 'new', '#/join', (page) => show(page, /Show a QR code/)],
  ['join-digits', 'new', '#/join', digits],
  ['invited', 'new', '#latchkey1-abc'],
  ['invited-used', 'used', '#latchkey1-abc'],
  ['invited-member', 'admin', '#latchkey1-abc'],
  ['recover', 'new', '#/recover'],
  ['recover-wrong', 'new', '#/recover', (page) => page.getByRole('button', { name: 'Recover' }).click()],
  ['cameras', 'admin', '#/'],
  ['cameras-many', 'many', '#/'],
  ['cameras-offline', 'offline', '#/'],
  ['no-camera', 'nocamera', '#/'],
  ['alarms', 'alarms', '#/'],
  ['live', 'admin', '#/camera/ZnJvbnQtZG9vcg', (page) => page.waitForTimeout(4_000)],
  ['stuck', 'stuck', '#/camera/ZnJvbnQtZG9vcg', (page) => page.waitForTimeout(800)],
  ['live-many', 'many', '#/camera/ZnJvbnQtZG9vcg', (page) => page.waitForTimeout(4_000)],
  ['live-forged', 'forged', '#/camera/ZnJvbnQtZG9vcg', (page) => page.waitForTimeout(4_000)],
  ['live-offline', 'offline', '#/camera/ZnJvbnQtZG9vcg', (page) => page.waitForTimeout(800)],
  ['devices', 'admin', '#/devices'],
  ['devices-many', 'many', '#/devices'],
  ['devices-viewer', 'viewer', '#/devices'],
  ['focus', 'admin', '#/devices', tabbed],
  ['rename', 'admin', '#/devices', (page) => page.getByRole('button', { name: /^Rename Kitchen/ }).click()],
  [
    'remove-ask',
    'admin',
    '#/devices',
    (page) => page.getByRole('button', { name: 'Remove Kitchen tablet' }).click(),
  ],
  ['removing', 'admin', '#/devices', removing],
  ['add', 'admin', '#/add'],
  ['add-guest', 'admin', '#/add', (page) => page.getByLabel('It will be').selectOption('guest')],
  ['add-guest-many', 'many', '#/add', (page) => page.getByLabel('It will be').selectOption('guest')],
  ['add-wrong', 'admin', '#/add', (page) => page.getByRole('button', { name: 'Next' }).click()],
  ['add-ways', 'admin', '#/add', ways],
  ['add-invite', 'admin', '#/add', (page) => by(page, /Show an invite/)],
  ['add-code', 'admin', '#/add', (page) => by(page, /It shows a code/)],
  ['add-digits', 'admin', '#/add', typing],
  ['add-glance', 'admin', '#/add', glance],
  ['safety', 'admin', '#/safety'],
  ['settings', 'admin', '#/settings'],
  ['settings-locked', 'haslock', '#/settings'],
  ['unlock', 'locked', '#/'],
  ['unlock-erase', 'locked', '#/', (page) => page.getByRole('button', { name: 'Begin anew' }).click()],
  ['own-camera', 'owncamera', '#/'],
  ['sending', 'owncamera', '#/', sending],
  ['removed', 'removed', '#/'],
];

async function askBack(page) {
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByRole('button', { name: 'I have written them down' }).click();
}
async function show(page, name) {
  await page.getByRole('button', { name }).click();
  await page.getByRole('button', { name: 'Show it' }).click();
}
async function digits(page) {
  await show(page, /Compare six digits/);
  await page.getByRole('button', { name: 'Yes, they are right' }).waitFor();
}
async function tabbed(page) {
  await page.getByRole('heading', { level: 1 }).click();
  for (let times = 0; times < 4; times += 1) await page.keyboard.press('Tab');
}
async function removing(page) {
  await page.getByRole('button', { name: 'Remove Kitchen tablet' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await page.getByText('removed at epoch 42').waitFor();
}
async function ways(page) {
  await page.getByLabel('Its name').fill('Kitchen tablet');
  await page.getByRole('button', { name: 'Next' }).click();
}
async function by(page, name) {
  await ways(page);
  await page.getByRole('button', { name }).click();
}
async function typing(page) {
  await by(page, /It shows a number/);
  await page.getByLabel('Number of the new device').fill('4821 7730');
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByLabel('Six digits').waitFor();
}
async function glance(page) {
  await typing(page);
  await page.getByLabel('Six digits').fill('274913');
  await page.getByRole('button', { name: 'Next' }).click();
  await page.getByRole('button', { name: 'Yes, add it' }).waitFor();
}
async function sending(page) {
  await page.getByRole('button', { name: 'Start sending' }).click();
  await page.waitForTimeout(4_000);
}

mkdirSync(out, { recursive: true });
const server = await createServer({ logLevel: 'warn', server: { port: 0, host: '127.0.0.1' } });
await server.listen();
const { port } = server.httpServer.address();
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--use-fake-device-for-media-stream',
    '--use-fake-ui-for-media-stream',
    '--disable-features=WebRtcHideLocalIpsWithMdns',
    '--allow-loopback-in-peer-connection',
  ],
});
let faults = 0;

async function look([name, scene, hash, act]) {
  for (const width of [1280, 390, 360]) {
    for (const colorScheme of ['light', 'dark']) {
      if (width === 360 && colorScheme === 'dark') continue;
      const page = await browser.newPage({
        viewport: { width, height: width === 1280 ? 860 : 780 },
        deviceScaleFactor: 1,
        colorScheme,
      });
      page.on('pageerror', (error) => {
        faults += 1;
        console.log(`${name}: ${error.message}`);
      });
      const about = `${name} ${width} ${colorScheme}`;
      try {
        await page.goto(`http://127.0.0.1:${port}/src/dev/look.html?scene=${scene}${hash}`);
        await page.getByRole('heading', { level: 1 }).first().waitFor();
        await page.waitForTimeout(250);
        await act?.(page);
        await page.waitForTimeout(250);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        if (wide > 0) {
          faults += 1;
          console.log(`${about}: ${wide} px wider than the window`);
        }
        if (width !== 360)
          await page.screenshot({ path: `${out}/${name}-${width}-${colorScheme}.png`, fullPage: true });
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() =>
          globalThis.axe.run(document, { resultTypes: ['violations'] }),
        );
        for (const { id, impact, nodes } of violations) {
          faults += 1;
          console.log(`${about}: axe ${impact} ${id}: ${nodes.map((node) => node.target).join(' ; ')}`);
        }
      } catch (error) {
        faults += 1;
        console.log(`${about}: ${error.message}`);
        await page.screenshot({ path: `${out}/${name}-${width}-${colorScheme}-failed.png` });
      }
      await page.close();
    }
  }
}

const waiting = PAGES.filter(([name]) => only.length === 0 || only.includes(name));
const looker = async () => {
  for (let next = waiting.shift(); next; next = waiting.shift()) await look(next);
};
await Promise.all(Array.from({ length: AT_ONCE }, looker));
await browser.close();
await server.close();
console.log(`pictures in ${out}, faults: ${faults}`);
process.exit(faults === 0 ? 0 : 1);
