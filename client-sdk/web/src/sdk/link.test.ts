/** Calls, replies, faults and events over a line whose other end is held by the test. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { refusal } from './door.ts';
import { Failure, WorkerLink } from './link.ts';
import type { CallMessage, WorkerMessage } from './link.ts';

/** The worker's end of a line. */
class FarEnd {
  readonly heard: CallMessage[] = [];
  ended = false;
  readonly #listeners = new Map<string, (event: never) => void>();
  readonly port = {
    postMessage: (message: CallMessage) => void this.heard.push(message),
    addEventListener: (type: string, listener: (event: never) => void) =>
      void this.#listeners.set(type, listener),
    terminate: () => void (this.ended = true),
  } as unknown as ConstructorParameters<typeof WorkerLink>[0];

  say(message: WorkerMessage): void {
    this.#listeners.get('message')?.({ data: message } as never);
  }

  break(message: string): void {
    this.#listeners.get('error')?.({ message } as never);
  }
}

test('replies find their calls in any order, and a fault rejects its own only', async () => {
  const far = new FarEnd();
  const link = new WorkerLink(far.port);
  const devices = link.call('devices', {});
  const cameras = link.call('cameras', {});
  assert.deepEqual(
    far.heard.map(({ call }) => call),
    ['devices', 'cameras'],
  );
  far.say({ id: far.heard[1]?.id ?? 0, reply: { cameras: [] } });
  far.say({ id: far.heard[0]?.id ?? 0, fault: { code: 'unreachable', text: 'nobody answers' } });
  assert.deepEqual(await cameras, { cameras: [] });
  await assert.rejects(devices, new Failure('unreachable', 'nobody answers'));
});

test('events are no replies, and are heard until nobody listens', () => {
  const far = new FarEnd();
  const link = new WorkerLink(far.port);
  const heard: string[] = [];
  const unlisten = link.listen((event) => heard.push(event.event));
  far.say({ event: 'note', session: null, text: 'x' });
  unlisten();
  far.say({ event: 'note', session: null, text: 'y' });
  assert.deepEqual(heard, ['note']);
});

test('a broken worker fails every call, also later ones', async () => {
  const far = new FarEnd();
  const link = new WorkerLink(far.port);
  const waiting = link.call('open', {});
  far.break('out of memory');
  await assert.rejects(waiting, /out of memory/);
  await assert.rejects(link.call('open', {}), { code: 'worker' });
  link.close();
  assert.equal(far.ended, true);
});

test('a refusal keeps the relay’s code, and one without a problem document its status', () => {
  assert.equal(
    refusal(409, '{"code":"no-publisher","detail":"the camera is not sending"}').code,
    'no-publisher',
  );
  const bare = refusal(502, '<html>');
  assert.equal(bare.code, 'http');
  assert.match(bare.message, /HTTP 502/);
});
