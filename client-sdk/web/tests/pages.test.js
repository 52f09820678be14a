/** The app's own pages from the first to the last, as people go through them; axe-core looks at each; and how large the first load is. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { App } from './harness/app.js';
import { BROWSERS, launch } from './harness/browsers.js';
import { counted } from './harness/counted.js';
import { Town, sends } from './harness/house.js';
import { root } from './harness/places.js';
import { eventually } from './harness/programs.js';
import { appDir } from './harness/server.js';

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
/** What axe-core calls serious or worse. */
const SERIOUS = ['serious', 'critical'];

const browsers = {};
let town;
before(async () => {
  town = await Town.start();
  for (const name of BROWSERS) browsers[name] = await launch(name, { fakeVideo: await counted('mjpeg') });
});
after(async () => {
  for (const browser of Object.values(browsers)) await browser.close();
  await town?.end();
});

for (const [at, name] of BROWSERS.entries()) {
  const guest = BROWSERS[1 - at];
  test(`${name} makes a household, lets ${guest} in and removes it, on pages without a serious fault`, async () => {
    const looked = [];
    const look = async (app, page) => {
      looked.push(page);
      await assertSound(app, page);
    };

    const admin = await App.open(await browsers[name].person(), town.url);
    await look(admin, 'welcome');
    await admin.press('Make a household');
    await admin.says('Name of this device');
    await look(admin, 'found');
    await admin.fill('Name of this device', 'Phone');
    await admin.press('Next');
    await admin.says('Write these twelve words down');
    await look(admin, 'words');
    const words = await admin.tab.evaluate(() =>
      [...document.querySelectorAll('ol.words li')].map((one) => one.innerText.trim()),
    );
    assert.equal(words.length, 12);
    await admin.press('I have written them down');
    await admin.says('Three of them, please');
    await look(admin, 'words asked back');
    const asked = await admin.tab.evaluate(() =>
      [...document.querySelectorAll('label')]
        .map((one) => Number(/^Word (\d+)/.exec(one.innerText.trim())?.[1]))
        .filter(Boolean),
    );
    for (const number of asked) await admin.fill(`Word ${number}`, words[number - 1]);
    await admin.press('Make the household');
    await admin.inside();
    await look(admin, 'cameras, none yet');

    const house = await town.natives();
    await inviteBy(admin, 'camera', 'Front door', look, (code) => house.joinBy('Front door', code));
    const camera = house.camera('Front door', [await counted('vp8')]);
    await sends(camera);

    const person = await browsers[guest].person();
    const visitor = await inviteBy(admin, 'viewer', 'Tablet', look, (code) =>
      App.join(person, town.url, code),
    );
    await visitor.watch('Front door');
    await visitor.decoded(25);
    await look(visitor, 'live view');
    await visitor.tab.resize(390, 780);
    await look(visitor, 'live view on a phone');
    assert.equal(
      await visitor.tab.evaluate(() => document.documentElement.scrollWidth > innerWidth),
      false,
      'wider than a phone',
    );
    await visitor.screenshot('live-phone');
    for (const [page, heading] of [
      ['devices', 'Devices'],
      ['safety', 'digits'],
      ['settings', 'Forget this device'],
    ]) {
      await visitor.go(`#/${page}`);
      await visitor.says(heading);
      await look(visitor, page);
    }
    await visitor.go('#/');
    await visitor.says('Front door');
    await look(visitor, 'cameras');
    await visitor.watch('Front door');
    await visitor.decoded(25);

    await admin.go('#/devices');
    await admin.says('Tablet');
    await look(admin, 'devices, as an admin');
    await admin.tab.evaluate(() => {
      const row = [...document.querySelectorAll('li[data-device]')].find((one) =>
        one.innerText.includes('Tablet'),
      );
      [...row.querySelectorAll('button')].find((one) => one.innerText.includes('Remove')).click();
    });
    await admin.says('Remove “Tablet”?');
    await look(admin, 'asked before removal');
    await admin.press('Remove', '[role=dialog], dialog');
    const { text } = await admin.until('the epoch of the removal', ({ text }) =>
      /removed at epoch \d+/.test(text),
    );
    console.log(`${name}: ${/.*removed at epoch \d+/.exec(text)[0]}`);
    await look(admin, 'devices, one removed');
    await admin.screenshot('removed-by-admin');
    await visitor.says('this device was removed from the household');
    await look(visitor, 'removed');
    await visitor.screenshot('removed-page');
    await camera.end();
    await admin.close();
    await visitor.close();
    console.log(`${name} and ${guest}: axe-core looked at ${looked.length} pages: ${looked.join(', ')}`);
  });

  test(`a page in ${name} joins as a camera by showing itself, and films without a serious fault`, async () => {
    const house = await town.household('Grace');
    const app = await App.open(await browsers[name].person(), town.url);
    await app.press('Join a household');
    await app.says('This device will');
    await assertSound(app, 'join');
    await app.fill('This device will', 'camera');
    await app.press('Show a QR code here');
    await app.press('Show it');
    await app.says('Waiting for the admin');
    await assertSound(app, 'join by code');
    const shown = await app.tab.evaluate(() => document.querySelector('p.code').innerText.trim());
    await house.add(shown, 'Old phone');
    await app.inside();
    await app.says('This device as a camera');
    await assertSound(app, 'camera, not sending');
    await app.press('Start sending');
    await app.until('the camera to send', ({ phase }) => phase === 'sending');
    await assertSound(app, 'camera, sending');
    await app.screenshot('sending');
    await app.close();
  });
}

test(`the first load keeps to its budget (chromium and firefox load the same)`, async () => {
  const environment = { ...process.env, LATCHKEY_WEB_OUT: appDir };
  const script = path.join(root, 'client-sdk/web/scripts/budget.js');
  const told = await promisify(execFile)(process.execPath, [script], { env: environment }).catch(
    (error) => error,
  );
  console.log(
    told.stdout
      .trim()
      .split('\n')
      .filter((line) => /first load|wasm|foreign|budget/.test(line))
      .join('\n'),
  );
  assert.equal(told.code ?? 0, 0, 'the first load is over its budget, or names a foreign host');
});

/** Makes an invite on the admin's page, hands its code to `join`, and returns what that returns. */
async function inviteBy(admin, role, called, look, join) {
  await admin.go('#/devices');
  await admin.press('Add a device');
  await admin.says('Its name');
  await admin.fill('It will be', role);
  await admin.fill('Its name', called);
  await look(admin, `add a ${role}`);
  await admin.press('Next');
  await admin.says('meet?');
  await look(admin, 'ways to add');
  await admin.press('Show an invite here');
  await admin.says('Good once');
  await look(admin, 'invite');
  const code = await codeOn(admin);
  const joined = await join(code);
  await admin.says('is in the household');
  await look(admin, 'added');
  return joined;
}

/** The code that an admin's page holds ready to be copied. */
async function codeOn(admin) {
  await admin.tab.evaluate(() => {
    navigator.clipboard.writeText = (text) => ((window.copied = text), Promise.resolve());
  });
  await admin.press('Copy the link');
  const link = await eventually('the link', () => admin.tab.evaluate(() => window.copied));
  return link.slice(link.indexOf('#') + 1);
}

/** Fails when axe-core finds something serious on the page that shows. */
async function assertSound(app, page) {
  const violations = await app.tab.evaluate(async (source) => {
    if (!window.axe) window.eval(source);
    const found = await window.axe.run(document, { resultTypes: ['violations'] });
    return found.violations.map(({ id, impact, nodes }) => ({
      id,
      impact,
      where: nodes.map(({ target }) => target.join(' ')),
    }));
  }, axe);
  const serious = violations.filter(({ impact }) => SERIOUS.includes(impact));
  assert.deepEqual(serious, [], `${page} in ${app.browser}`);
}
