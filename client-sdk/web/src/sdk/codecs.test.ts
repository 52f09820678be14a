/** Which of a browser's codecs the relay forwards. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isForwarded, missingFrom, preferred } from './codecs.ts';

const h264 = (mode: string) => ({
  mimeType: 'video/H264',
  sdpFmtpLine: `level-asymmetry-allowed=1;packetization-mode=${mode};profile-level-id=42001f`,
});
const CHROMIUM = [
  { mimeType: 'video/VP8' },
  { mimeType: 'video/rtx' },
  { mimeType: 'video/VP9', sdpFmtpLine: 'profile-id=0' },
  { mimeType: 'video/VP9', sdpFmtpLine: 'profile-id=2' },
  h264('1'),
  h264('0'),
  { mimeType: 'video/AV1', sdpFmtpLine: 'level-idx=5;profile=0;tier=0' },
  { mimeType: 'video/AV1', sdpFmtpLine: 'level-idx=5;profile=1;tier=0' },
  { mimeType: 'video/red' },
  { mimeType: 'video/ulpfec' },
];
const FIREFOX = CHROMIUM.filter(({ mimeType }) => mimeType !== 'video/H264');

test('what the relay does not forward is not offered', () => {
  assert.equal(isForwarded(h264('1')), true);
  assert.equal(isForwarded(h264('0')), false);
  assert.equal(isForwarded({ mimeType: 'video/H264' }), false, 'without the parameter it is mode 0');
  assert.equal(isForwarded({ mimeType: 'video/VP9', sdpFmtpLine: 'profile-id=2' }), false);
  assert.equal(isForwarded({ mimeType: 'audio/opus', sdpFmtpLine: 'minptime=10' }), true);
  assert.equal(isForwarded({ mimeType: 'audio/PCMU' }), false);
});

test('a browser without H264 is known by its list', () => {
  assert.deepEqual(missingFrom(CHROMIUM), []);
  assert.deepEqual(missingFrom(FIREFOX), ['H264']);
  assert.deepEqual(missingFrom([h264('0')]), ['H264', 'VP8', 'VP9', 'AV1']);
});

test('the codec asked for stands first, repairs last, the rest in the browser’s order', () => {
  const names = preferred(CHROMIUM, 'AV1').map(({ mimeType }) => mimeType.split('/')[1]);
  assert.deepEqual(names, ['AV1', 'VP8', 'VP9', 'H264', 'rtx']);
});
