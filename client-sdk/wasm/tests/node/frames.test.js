/** Native and wasm devices of one household on a real server: what one seals the other opens, once, and nobody else. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { FRAMES, Legs, WasmDevice, eventually, load, watchedDoor } from './module.js';

let module;
let legs;
let server;

before(async () => {
  module = await load();
  legs = new Legs();
  server = await legs.url();
});
after(() => legs.end());

async function passes(door, bob, { sending, watching }) {
  for (const frame of FRAMES) {
    const wire = await eventually('a sealed frame', () => door.seal(sending, frame));
    const changed = wire.slice(0, -2) + (wire.endsWith('00') ? '01' : '00');
    // The last byte of an H.264 frame stands outside of what is sealed: another one is no frame of ours.
    assert.ok((await bob.open(watching, frame.codec, changed)).plain === undefined, 'a changed byte');
    assert.deepEqual(await bob.open(watching, frame.codec, wire), { plain: frame.data });
    assert.deepEqual(await bob.open(watching, frame.codec, wire), { verdict: 'Nothing' }, 'shown once');
  }
  assert.deepEqual(await bob.open(watching, 1, ''), { verdict: 'Nothing' }, 'padding is no failure');
  const foreign = await bob.open(watching, 1, FRAMES[2].data);
  assert.equal(foreign.plain, undefined, 'a frame in clear');
}

test('native seals, wasm opens', async () => {
  const [ada, door, bob] = [legs.device('ada1'), legs.device('door1'), new WasmDevice(module)];
  await passes(door, bob, await watchedDoor(server, [ada, door, bob]));
});

test('wasm seals, native opens; wasm founded the household', async () => {
  const [ada, door, bob] = [new WasmDevice(module), new WasmDevice(module), legs.device('bob2')];
  await passes(door, bob, await watchedDoor(server, [ada, door, bob]));
});

test('a reload keeps the device, takes a new session, and is opened at once', async () => {
  const [ada, door, bob] = [legs.device('ada3'), new WasmDevice(module), new WasmDevice(module)];
  const { camera, sending, watching } = await watchedDoor(server, [ada, door, bob]);
  const first = await eventually('a sealed frame', () => door.seal(sending, FRAMES[2]));
  assert.deepEqual(await bob.open(watching, 1, first), { plain: FRAMES[2].data });

  const loaded = new WasmDevice(module, door.stored);
  assert.equal((await loaded.call('open', {})).name, 'Door');
  const { session } = await loaded.call('publish', {});
  const second = await eventually('a sealed frame', () => loaded.seal(session, FRAMES[2]));
  assert.notEqual(second.slice(20, 36), first.slice(20, 36), 'counter 0 again, so another key id');
  const open = async () => (await bob.open(watching, 1, second)).plain;
  assert.equal(await eventually('an opened frame', open), FRAMES[2].data);

  const viewer = new WasmDevice(module, bob.stored);
  const again = await viewer.call('watch', { camera });
  const third = await loaded.seal(session, FRAMES[3]);
  const opened = async () => (await viewer.open(again.session, 1, third)).plain;
  assert.equal(await eventually('an opened frame', opened), FRAMES[3].data);
});

test('who was removed opens nothing more, and is told so', async () => {
  const [ada, door, bob] = [legs.device('ada4'), legs.device('door4'), new WasmDevice(module)];
  const { sending, watching } = await watchedDoor(server, [ada, door, bob]);
  const { devices } = await ada.call('devices', {});
  await ada.call('remove', { device: devices.find((device) => device.name === 'Bob').id });
  const removal = await ada.told('removed at an epoch', (event) => event.event === 'removal' && event.epoch);
  assert.equal(removal.cameraName, 'Door');
  await bob.told('the end', (event) => event.event === 'ended');
  const wire = await eventually('a sealed frame', () => door.seal(sending, FRAMES[2]));
  assert.deepEqual(await bob.open(watching, 1, wire), { verdict: 'Wait' }, 'its key never comes');
});

test('each layer of a picture has a key and a counter of its own; a fourth is left out', async () => {
  const [ada, door, bob] = [new WasmDevice(module), new WasmDevice(module), legs.device('bob5')];
  const { sending, watching } = await watchedDoor(server, [ada, door, bob]);
  await eventually('a sealed frame', () => door.seal(sending, FRAMES[2]));
  const sealer = door.core.sealer(sending);
  const seal = (layer) => sealer.seal(layer, 1, true, 0, Buffer.from(FRAMES[2].data, 'hex'));
  for (const [layer, track] of [[1, 3], [2, 4], [1, 3]]) {
    assert.equal(seal(layer), module.Verdict.Pass);
    const wire = Buffer.from(sealer.take());
    // Ten bytes of envelope, the SFrame header's first byte, then the key id, which ends in track, leaf and epoch.
    const length = ((wire[10] >> 4) & 7) + 1;
    assert.equal(wire[10 + length - 2], track);
    assert.deepEqual(await bob.open(watching, 1, wire.toString('hex')), { plain: FRAMES[2].data });
  }
  assert.equal(seal(3), module.Verdict.Drop);
});
