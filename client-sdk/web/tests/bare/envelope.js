/** Envelopes as `relay/docs/wire.md` has them: taken off every codec, put on those that need no parameter sets. */

import { concat } from './sframe.js';

/** The codecs by their code in the inner header. */
export const CODECS = ['H264', 'VP8', 'VP9', 'AV1', 'opus'];

/**
 * Takes a wire frame apart.
 * @returns {{envelope: Uint8Array, sframe: Uint8Array, key?: boolean}} without `key` where the codec has no envelope
 */
export function split(codec, wire) {
  if (codec === 'VP8') {
    const length = wire[0] === 0x11 ? 1 : 10;
    if (length === 10 && !startsWith(wire, [0x10, 0, 0, 0x9d, 1, 0x2a])) throw new Error('no VP8 envelope');
    return { envelope: wire.subarray(0, length), sframe: wire.subarray(length), key: length === 10 };
  }
  if (codec === 'AV1') return splitAv1(wire);
  if (codec === 'H264') return splitH264(wire);
  return { envelope: new Uint8Array(), sframe: wire };
}

/** The envelope for a real frame. H.264 is not made here: its parameter sets are read and written by the Rust core. */
export function build(codec, key, frame) {
  if (codec === 'VP8') {
    if (!key) return Uint8Array.of(0x11);
    const size = [frame[6], frame[7] & 0x3f, frame[8], frame[9] & 0x3f];
    return Uint8Array.of(0x10, 0, 0, 0x9d, 1, 0x2a, ...size);
  }
  if (codec === 'AV1') return key ? Uint8Array.of(0x0a, 0, 0x30) : Uint8Array.of(0x30);
  if (codec === 'H264') throw new Error('no H.264 envelope here');
  return new Uint8Array();
}

function splitAv1(wire) {
  if (startsWith(wire, [0x12, 0])) wire = wire.subarray(2);
  const key = startsWith(wire, [0x0a, 0]);
  const frame = key ? wire.subarray(2) : wire;
  const envelope = key ? Uint8Array.of(0x0a, 0, 0x30) : Uint8Array.of(0x30);
  if (frame[0] === 0x30) return { envelope, sframe: frame.subarray(1), key };
  if (frame[0] !== 0x32) throw new Error('no AV1 envelope');
  let at = 1;
  while (frame[at] & 0x80) at++;
  return { envelope, sframe: frame.subarray(at + 1), key };
}

function splitH264(wire) {
  const clear = [];
  let key = false;
  let rest = wire;
  for (;;) {
    const code = startsWith(rest, [0, 0, 0, 1]) ? 4 : 3;
    if (!startsWith(rest, [0, 0, 0, 1].slice(4 - code))) throw new Error('no H.264 envelope');
    rest = rest.subarray(code);
    const type = rest[0] & 0x1f;
    if (type === 1 || type === 5) {
      key = type === 5;
      break;
    }
    const end = nextStartCode(rest);
    clear.push([0, 0, 0, 1], rest.subarray(0, end));
    rest = rest.subarray(end);
  }
  if (rest.at(-1) !== 0x80) throw new Error('H.264 slice without its end');
  // Slice headers of pps 0, as the bundled clips have them: 65 88 80, and 41 E0 80.
  if (!startsWith(rest, key ? [0x65, 0x88, 0x80] : [0x41, 0xe0, 0x80]))
    throw new Error('another slice header');
  clear.push([0, 0, 0, 1], rest.subarray(0, 3));
  return { envelope: concat(...clear), sframe: unescape(rest.subarray(3, -1)), key };
}

function nextStartCode(bytes) {
  for (let at = 0; at + 2 < bytes.length; at++) {
    if (bytes[at] === 0 && bytes[at + 1] === 0 && bytes[at + 2] === 1) {
      return at > 0 && bytes[at - 1] === 0 ? at - 1 : at;
    }
  }
  throw new Error('H.264 frame without a slice');
}

function unescape(bytes) {
  const out = new Uint8Array(bytes.length);
  let length = 0;
  let zeros = 0;
  for (const byte of bytes) {
    if (zeros >= 2 && byte === 3) {
      zeros = 0;
      continue;
    }
    zeros = byte === 0 ? zeros + 1 : 0;
    out[length++] = byte;
  }
  return out.subarray(0, length);
}

const startsWith = (bytes, head) => head.every((byte, at) => bytes[at] === byte);
