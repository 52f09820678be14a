/** Tests of the frames that wait. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Held } from './held.ts';

test('two seconds and four megabytes, and no more', () => {
  const held = new Held<number>();
  for (let frame = 0; frame < 4; frame += 1) assert.equal(held.keep(frame, 1 << 20, 0), 0);
  assert.equal(held.keep(4, 1, 1_000), 1, 'the oldest makes room');
  assert.equal(held.expire(1_999), 0);
  assert.equal(held.expire(2_000), 3);
  const left: number[] = [];
  held.drain((frame) => left.push(frame) > 0);
  assert.deepEqual(left, [4]);
  assert.ok(held.isEmpty);
  assert.equal(held.keep(9, 5 << 20, 0), 1, 'too large alone');
});

test('draining stops at a frame that still waits', () => {
  const held = new Held<number>();
  for (const frame of [1, 2, 3]) held.keep(frame, 1, 0);
  const passed: number[] = [];
  held.drain((frame) => frame < 3 && passed.push(frame) > 0);
  assert.deepEqual(passed, [1, 2]);
  assert.ok(!held.isEmpty);
});
