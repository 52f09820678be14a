/** Figures from the reports of a peer connection. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { answered, incoming, rates } from './stats.ts';

const video = (frames: number) => ({
  type: 'inbound-rtp',
  kind: 'video',
  packetsReceived: frames * 10,
  packetsLost: 2,
  framesDecoded: frames,
  frameWidth: 1280,
  frameHeight: 720,
  jitter: 0.004,
  jitterBufferDelay: frames * 0.02,
  jitterBufferEmittedCount: frames,
  totalDecodeTime: frames * 0.005,
});

test('picture and sound are summed up, other reports are not', () => {
  const totals = incoming([
    video(30),
    { type: 'inbound-rtp', kind: 'audio', packetsReceived: 50, jitter: 9 },
    { type: 'outbound-rtp', kind: 'video', packetsReceived: 999 },
  ]);
  assert.equal(totals.packets, 350);
  assert.deepEqual([totals.width, totals.height, totals.jitterMs], [1280, 720, 4]);
});

test('rates are those of the time between', () => {
  const { fps, playoutMs } = rates(incoming([video(30)]), incoming([video(45)]), 0.5);
  assert.equal(fps, 30);
  assert.ok(Math.abs(playoutMs - 25) < 1e-6, String(playoutMs));
  assert.deepEqual(rates(incoming([video(30)]), incoming([]), 0), { fps: 0, playoutMs: 0 });
});

test('what a browser leaves out counts as nothing', () => {
  assert.equal(incoming([{ type: 'inbound-rtp', kind: 'video', jitter: Number.NaN }]).jitterMs, 0);
  assert.equal(
    answered([
      { type: 'candidate-pair', bytesReceived: 5 },
      { type: 'transport', bytesReceived: 9 },
    ]),
    5,
  );
});
