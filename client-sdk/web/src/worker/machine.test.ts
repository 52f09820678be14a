/** Tests of the machine around the module: numbers of sessions, order of events, a fresh start after a failure. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Event as WorkerEvent } from '../sdk/generated/face.ts';
import { Machine, Refusal } from './machine.ts';
import type { Core, Surroundings } from './wasm/latchkey_wasm.js';

/** A core that answers like the module, and counts its sessions from 1. */
class StandIn {
  readonly surroundings: Surroundings;
  readonly asked: { call: string; with: { session?: number } }[] = [];
  #sessions = 0;

  constructor(surroundings: Surroundings) {
    this.surroundings = surroundings;
  }

  async call(request: string): Promise<string> {
    const [[call, argument]] = Object.entries(JSON.parse(request)) as [[string, { session?: number }]];
    const asked = { call, with: argument };
    this.asked.push(asked);
    if (asked.call === 'devices') return new Promise(() => undefined);
    if (asked.call === 'cameras') return Promise.reject('{"code":"nobody","text":"no household"}');
    if (asked.call !== 'watch') return '{}';
    const session = (this.#sessions += 1);
    this.surroundings.tell(JSON.stringify({ event: 'newEpoch', session, epoch: 7, members: 2 }));
    return JSON.stringify({ session });
  }

  tick(): void {}
}

function machine(): { cores: StandIn[]; told: WorkerEvent[]; retried: number[]; it: Machine } {
  const cores: StandIn[] = [];
  const told: WorkerEvent[] = [];
  const retried: number[] = [];
  const make = (surroundings: Surroundings): Core => {
    const core = new StandIn(surroundings);
    cores.push(core);
    return core as unknown as Core;
  };
  const storage = { read: async () => undefined, write: async () => undefined, erase: async () => undefined };
  const it = new Machine(make, storage, {
    tell: (event) => void told.push(event),
    retry: (session) => void retried.push(session),
  });
  return { cores, told, retried, it };
}

/** Lets what is put off run, and what that puts off: each turn begins when the one before has run, however slow. */
const soon = async (): Promise<void> => {
  for (let turn = 0; turn < 6; turn += 1) await new Promise((resolve) => setTimeout(resolve, 5));
};

test('what comes up in a call is told after its reply, under the page’s number', async () => {
  const { told, it } = machine();
  await it.begin();
  const { session } = await it.call('watch', { camera: 'a' });
  assert.deepEqual(told, []);
  await soon();
  assert.deepEqual(told, [{ event: 'newEpoch', session, epoch: 7, members: 2 }]);
});

test('after a failure a fresh core watches on under the numbers that the page knows', async () => {
  const { cores, told, retried, it } = machine();
  await it.begin();
  const first = await it.call('watch', { camera: 'a' });
  await it.call('unwatch', first);
  const second = await it.call('watch', { camera: 'b' });
  const waiting = it.call('devices', {});
  it.failed('a bug');
  await assert.rejects(waiting, (error) => error instanceof Refusal && error.fault.code === 'failed');
  await soon();
  assert.equal(cores.length, 2);
  assert.deepEqual(
    cores[1]?.asked.map((asked) => [asked.call, asked.with]),
    [['watch', { camera: 'b' }]],
  );
  await it.call('door', second);
  assert.equal(cores[1]?.asked.at(-1)?.with.session, 1, 'the number of the fresh core');
  cores[1]?.surroundings.retry(1);
  const before = told.length;
  cores[0]?.surroundings.tell(JSON.stringify({ event: 'note', session: null, text: 'of the old core' }));
  await soon();
  assert.deepEqual(retried, [second.session]);
  assert.equal(told.length, before, 'a core that failed is not heard');
});

test('failing again and again ends what runs, in words', async () => {
  const { told, it } = machine();
  await it.begin();
  const { session } = await it.call('watch', { camera: 'a' });
  for (let time = 0; time < 4; time += 1) {
    it.failed('a bug');
    await soon();
  }
  const ended = told.find((event) => event.event === 'ended');
  assert.ok(ended?.event === 'ended' && ended.session === session && ended.reason.includes('load the page'));
  await assert.rejects(it.call('open', {}), Refusal);
});

test('a fault of the module is the call’s', async () => {
  const { it } = machine();
  await it.begin();
  await assert.rejects(
    it.call('cameras', {}),
    (error) => error instanceof Refusal && error.fault.code === 'nobody',
  );
});
