/** A module that panics says so, and another instance goes on from what was stored. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { WasmDevice, load } from './module.js';

test('a call that is none is refused and breaks nothing', async () => {
  const device = new WasmDevice(await load());
  await assert.rejects(device.call('nonsense', {}), /bad-call/);
  assert.deepEqual(await device.call('open', {}), { is: 'nobody' });
});

test('fresh memory takes the place of old memory', async () => {
  const module = await load();
  const before = new WasmDevice(module);
  module.__wbg_reset_state();
  assert.throws(() => before.core.tick(), 'nothing of before is used any more');
  assert.deepEqual(await new WasmDevice(module).call('open', {}), { is: 'nobody' });
});
