/** Tests of the numbers of layers. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Layers } from './layers.ts';

test('each stream keeps its number', () => {
  const layers = new Layers();
  const seen = [70, 9, 70, 4_000_000_000, 9, 70].map((ssrc) => layers.of(ssrc));
  assert.deepEqual(seen, [0, 1, 0, 2, 1, 0]);
  assert.equal(new Layers().of(9), 0, 'another connection numbers anew');
});
