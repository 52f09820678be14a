/** The built app as the server serves it: it starts in both browsers, and its policy lets nothing else in or out. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BROWSERS, launch } from './harness/browsers.js';
import { eventually } from './harness/programs.js';
import { Server } from './harness/server.js';

let server;
before(async () => (server = await Server.start()));
after(() => server?.end());

for (const name of BROWSERS) {
  test(`the app starts in ${name} without a complaint, and its policy holds`, async () => {
    const browser = await launch(name);
    try {
      const tab = await browser.page();
      await tab.goto(`${server.url}/`);
      await eventually('the first page', () =>
        tab.evaluate(() => document.body.innerText.includes('household')),
      );
      await tab.screenshot('served');
      assert.deepEqual(tab.log, []);
      const tried = await tab.evaluate(async () => {
        const violations = [];
        document.addEventListener('securitypolicyviolation', (event) =>
          violations.push(event.effectiveDirective),
        );
        const script = document.createElement('script');
        script.textContent = 'window.injected = true';
        document.body.append(script);
        const foreign = document.createElement('script');
        foreign.src = 'https://example.org/script.js';
        document.body.append(foreign);
        const asked = await fetch('https://example.org/').then(
          () => 'answered',
          () => 'refused',
        );
        await new Promise((resolve) => setTimeout(resolve, 300));
        return {
          injected: 'injected' in window,
          asked,
          violations: [...new Set(violations)].sort(),
        };
      });
      assert.equal(tried.injected, false);
      assert.equal(tried.asked, 'refused');
      assert.deepEqual(tried.violations, ['connect-src', 'script-src-elem']);
    } finally {
      await browser.close();
    }
  });
}
