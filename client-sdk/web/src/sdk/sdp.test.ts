/** Offers and answers as browsers and relay write them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { askingFor, mediaLines, withoutOrphans } from './sdp.ts';

const OFFER = [
  'v=0',
  'o=- 1 2 IN IP4 127.0.0.1',
  's=-',
  't=0 0',
  'a=group:BUNDLE 0 1',
  'm=video 9 UDP/TLS/RTP/SAVPF 120 124',
  'a=mid:0',
  'a=recvonly',
  'a=rtpmap:120 VP8/90000',
  'a=rtcp-fb:120 nack pli',
  'a=rtcp-fb:121 nack pli',
  'a=rtcp-fb:126 nack',
  'a=fmtp:126 packetization-mode=1',
  'a=rtcp-fb:* transport-cc',
  'a=rtpmap:124 rtx/90000',
  'a=fmtp:124 apt=120',
  'm=audio 9 UDP/TLS/RTP/SAVPF 109',
  'a=mid:1',
  'a=recvonly',
  'a=rtpmap:109 opus/48000/2',
  '',
].join('\r\n');

test('lines of payload types that the m-line lacks are dropped, all others stay', () => {
  const mended = withoutOrphans(OFFER);
  const gone = OFFER.split('\r\n').filter((line) => !mended.split('\r\n').includes(line));
  assert.deepEqual(gone, ['a=rtcp-fb:121 nack pli', 'a=rtcp-fb:126 nack', 'a=fmtp:126 packetization-mode=1']);
  assert.equal(withoutOrphans(mended), mended);
  assert.ok(mended.endsWith('\r\n') && !mended.endsWith('\r\n\r\n'));
});

test('the session’s own lines are left alone', () => {
  const sdp = 'v=0\r\na=fmtp:126 x=1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n';
  assert.equal(withoutOrphans(sdp), sdp);
});

test('codecs are asked for with free payload types, last in the video line', () => {
  const asked = askingFor(withoutOrphans(OFFER), ['H264', 'AV1']);
  const video = asked.split('\r\n').find((line) => line.startsWith('m=video'));
  assert.equal(video, 'm=video 9 UDP/TLS/RTP/SAVPF 120 124 127 126');
  assert.match(asked, /a=rtpmap:127 H264\/90000\r\na=fmtp:127 [^\r]*packetization-mode=1/);
  assert.match(asked, /a=rtpmap:126 AV1\/90000\r\na=fmtp:126 profile=0/);
  assert.match(asked, /m=audio 9 UDP\/TLS\/RTP\/SAVPF 109\r\n/);
  assert.equal(mediaLines(asked)[0]?.codec, 'VP8', 'its own codecs stand first');
  assert.equal(askingFor(OFFER, []), OFFER);
  assert.equal(askingFor('v=0\r\nm=audio 9 X 0\r\n', ['H264']), 'v=0\r\nm=audio 9 X 0\r\n');
});

test('an answer names the codec of each line first', () => {
  const answer = [
    'v=0',
    'm=video 9 UDP/TLS/RTP/SAVPF 127',
    'a=mid:0',
    'a=sendonly',
    'a=rtpmap:127 H264/90000',
    'm=audio 9 UDP/TLS/RTP/SAVPF 109',
    'a=mid:1',
    'a=inactive',
    'a=rtpmap:109 opus/48000/2',
    'm=application 0 UDP/DTLS/SCTP webrtc-datachannel',
    '',
  ].join('\n');
  assert.deepEqual(mediaLines(answer), [
    { kind: 'video', mid: '0', direction: 'sendonly', codec: 'H264', simulcast: false },
    { kind: 'audio', mid: '1', direction: 'inactive', codec: 'opus', simulcast: false },
    { kind: 'application', mid: '', direction: 'sendrecv', codec: undefined, simulcast: false },
  ]);
});

test('rtx is no codec of the format, and simulcast is seen', () => {
  const [line] = mediaLines('v=0\r\nm=video 9 X 97\r\na=rtpmap:97 rtx/90000\r\na=simulcast:recv f;h\r\n');
  assert.equal(line?.codec, undefined);
  assert.equal(line?.simulcast, true);
});
