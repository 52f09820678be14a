/** When a connection is given up, and how long the next try waits. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Backoff, Patience } from './patience.ts';

test('a slow camera is waited for longer, the slowest five seconds', () => {
  let now = 0;
  const patience = new Patience(now);
  assert.equal(patience.ends(), 10_000);
  patience.secured(now);
  assert.equal(patience.ends(), 5_000);
  for (let frame = 0; frame < 50; frame += 1) {
    patience.packets(now);
    now += 40;
  }
  patience.packets(now);
  assert.equal(patience.ends() - now, 1_000);
  for (let frame = 0; frame < 3; frame += 1) {
    now += 1_000;
    patience.packets(now);
  }
  assert.equal(patience.ends() - now, 3_000);
  now += 100_000;
  patience.packets(now);
  assert.equal(patience.ends() - now, 5_000);
});

test('a page that slept looks for one second more before it gives up', () => {
  const patience = new Patience(0);
  patience.secured(0);
  patience.packets(10);
  patience.packets(50);
  assert.ok(patience.ends() < 3_600_000);
  patience.awoke(3_600_000);
  assert.equal(patience.ends(), 3_601_000);
  assert.equal(patience.reason(3_601_200), 'no packet for 1.2 s');
});

test('waits double from a quarter of a second to four, and begin anew', () => {
  const backoff = new Backoff();
  const longest = Array.from({ length: 6 }, () => backoff.next(1));
  assert.deepEqual(longest, [250, 500, 1_000, 2_000, 4_000, 4_000]);
  assert.equal(backoff.next(0), 2_000);
  backoff.reset();
  assert.equal(backoff.next(1), 250);
});
