/** The passkey lock in the app, with Chromium's virtual authenticator: what is kept opens for the passkey and for nothing else. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { App } from './harness/app.js';
import { BROWSERS, launch } from './harness/browsers.js';
import { Server } from './harness/server.js';

let server;
let url;
const browsers = [];

before(async () => {
  server = await Server.start();
  // A passkey belongs to a name; a bare address is none.
  url = `http://localhost:${server.port}`;
  server.words.push('--public-url', url);
  await server.restart();
});
after(async () => {
  for (const browser of browsers) await browser.close();
  await server?.end();
});

/** A passkey device that answers by itself, as long as it is there. */
async function authenticator(tab, { prf }) {
  const devtools = await tab.driver.context().newCDPSession(tab.driver);
  await devtools.send('WebAuthn.enable');
  const { authenticatorId } = await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      ctap2Version: 'ctap2_1',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      hasPrf: prf,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  const verified = (is) => devtools.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: is });
  const forget = () => devtools.send('WebAuthn.clearCredentials', { authenticatorId });
  return { forget };
}

/** A browser that has founded a household. */
async function founded({ prf = true, name = 'chromium' } = {}) {
  const browser = await launch(name);
  browsers.push(browser);
  const app = await App.open(browser, url, '#/found');
  const passkey = name === 'chromium' ? await authenticator(app.tab, { prf }) : undefined;
  await app.says('Make a household');
  await app.press('Next');
  const words = await app.tab.evaluate(
    () =>
      new Promise((resolve) => {
        const look = () => {
          const all = [...document.querySelectorAll('main ol li')].map((one) =>
            one.innerText.trim().split(/\s+/).at(-1),
          );
          if (all.length === 12) resolve(all);
          else setTimeout(look, 50);
        };
        look();
      }),
  );
  await app.press('I have written them down');
  await app.until('the words asked back', () =>
    app.tab.evaluate(() => {
      const asked = [...document.querySelectorAll('main form label')].filter((one) =>
        /\d/.test(one.innerText),
      );
      return asked.length > 0 && document.querySelector('main form button[type=submit]') !== null;
    }),
  );
  await app.tab.evaluate((all) => {
    for (const label of document.querySelectorAll('main form label')) {
      const number = Number(/\d+/.exec(label.innerText)?.[0]);
      const field = label.control;
      if (!number || !field) continue;
      Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(field, all[number - 1]);
      field.dispatchEvent(new Event('input', { bubbles: true }));
    }
  }, words);
  await app.tab.evaluate(() => document.querySelector('main form button[type=submit]').click());
  await app.inside();
  return { app, passkey };
}

/** What IndexedDB holds, and whether any key that it holds opens what it holds. */
function kept(app) {
  return app.tab.evaluate(async () => {
    const database = await new Promise((resolve, reject) => {
      const opening = indexedDB.open('latchkey');
      opening.onsuccess = () => resolve(opening.result);
      opening.onerror = () => reject(opening.error);
    });
    const records = await new Promise((resolve) => {
      const reading = database.transaction('device').objectStore('device').getAll();
      reading.onsuccess = () => resolve(reading.result);
    });
    database.close();
    const keys = [];
    const look = (value) => {
      if (value instanceof CryptoKey) keys.push(value);
      else if (value && typeof value === 'object' && !ArrayBuffer.isView(value))
        Object.values(value).forEach(look);
    };
    records.forEach(look);
    const additionalData = new TextEncoder().encode('latchkey device state v1');
    let opened = 0;
    for (const { iv, sealed } of records) {
      for (const key of keys) {
        const bytes = await crypto.subtle
          .decrypt({ name: 'AES-GCM', iv, additionalData }, key, sealed)
          .catch(() => undefined);
        if (bytes?.byteLength) opened += 1;
      }
    }
    return { records: records.length, keys: keys.length, opened };
  });
}

/** Turns the switch, once: it is looked at and pressed in one go, so that no page drawn anew comes between. */
async function turn(app) {
  await app.go('#/settings');
  await app.until('the switch', () =>
    app.tab.evaluate(() => {
      const one = document.querySelector('#lock-switch');
      if (!one || one.disabled) return false;
      one.click();
      return true;
    }),
  );
}

/** Whether the lock is on; undefined while the page does not know. */
const isOn = (app) =>
  app.tab.evaluate(() => {
    const one = document.querySelector('#lock-switch');
    return one && !one.disabled ? one.checked : undefined;
  });

test('chromium: locked with a passkey, only the passkey opens the app again', async () => {
  const { app } = await founded();
  assert.deepEqual(await kept(app), { records: 1, keys: 1, opened: 1 }, 'without the lock a key lies beside');

  await turn(app);
  await app.says('On. The app asks for the passkey');
  assert.deepEqual(await kept(app), { records: 1, keys: 0, opened: 0 }, 'no key is left that opens it');

  await app.tab.reload();
  await app.says('Unlock with the passkey');
  await app.tab.screenshot('locked');
  assert.ok(!(await app.text()).includes('Devices'));
  assert.deepEqual(await kept(app), { records: 1, keys: 0, opened: 0 });

  await app.press('Unlock');
  await app.inside();
  await app.go('#/devices');
  await app.says('This device');
  assert.deepEqual(await kept(app), { records: 1, keys: 0, opened: 0 }, 'it stays locked on the disk');

  await turn(app);
  await app.until('the lock is off', async () => (await isOn(app)) === false);
  assert.deepEqual(await kept(app), { records: 1, keys: 1, opened: 1 });
  await app.tab.reload();
  await app.inside();
});

test('chromium: a lost passkey opens nothing, and what is locked can be erased to begin anew', async () => {
  const { app, passkey } = await founded();
  await turn(app);
  await app.says('On. The app asks for the passkey');
  await passkey.forget();
  await app.tab.reload();
  await app.press('Unlock');
  await app.says('The passkey did not answer');
  await app.press('Begin anew');
  await app.press('Erase', 'dialog');
  await app.says('Make a household');
  assert.deepEqual(await kept(app), { records: 0, keys: 0, opened: 0 });
});

test('chromium: a passkey that makes no keys locks nothing, and the page says so', async () => {
  const { app } = await founded({ prf: false });
  await turn(app);
  await app.says('cannot make keys');
  assert.equal(await isOn(app), false);
  assert.deepEqual(await kept(app), { records: 1, keys: 1, opened: 1 });
});

for (const name of BROWSERS) {
  test(`${name}: where the browser has no passkeys the switch is off, and the page says why`, async () => {
    const { app } = await founded({ name });
    await app.tab.before(() => {
      delete window.PublicKeyCredential;
    });
    await app.tab.reload();
    await app.inside();
    await app.go('#/settings');
    await app.says('This browser has no passkeys for this page');
    const disabled = await app.tab.evaluate(() => document.querySelector('#lock-switch').disabled);
    assert.equal(disabled, true);
  });
}
