/** The transforms: sealed frames in, opened frames out, and the other way round; nothing unauthenticated goes on. */

import { CODECS, build, split } from './envelope.js';
import { Keys, concat } from './sframe.js';

/** What happened to the frames of each transform, by its name. */
const tallies = {};

self.onrtctransform = ({ transformer }) => {
  const { name, side, key } = transformer.options;
  const tally = (tallies[name] = {
    ...{
      frames: 0,
      keys: 0,
      failed: 0,
      empty: 0,
      repeated: 0,
      late: 0,
      typeWrong: 0,
      lastFailure: '',
      micros: 0,
    },
    ...{ ageMs: 0, largest: 0, types: {} },
  });
  const codecOf = () => codecs[name.split(' ').pop()];
  const run = (side === 'open' ? opener : sealer)(codecOf, new Keys(key), tally);
  const frames = new TransformStream({
    async transform(frame, controller) {
      const began = performance.now();
      const data = await run(frame);
      tally.micros += (performance.now() - began) * 1000;
      if (!data) return;
      frame.data = data.buffer;
      controller.enqueue(frame);
    },
  });
  transformer.readable
    .pipeThrough(frames)
    .pipeTo(transformer.writable)
    .catch((error) => (tally.lastFailure = `ended: ${error}`));
  if (side === 'open') transformers[name] = transformer;
};

const transformers = {};
/** What the answer named, by kind; said before media can flow. */
const codecs = {};

self.onmessage = async ({ data, ports }) => {
  if (data === 'tallies') return ports[0].postMessage(tallies);
  if (data.codec) codecs[data.kind] = data.codec;
  if (data.askKeyFrame) {
    const asked = transformers[data.askKeyFrame]?.sendKeyFrameRequest();
    ports[0].postMessage(
      await asked?.then(
        () => 'asked',
        (error) => String(error),
      ),
    );
  }
};

function opener(codecOf, keys, tally) {
  const seen = new Set();
  let newest = -1n;
  return async (frame) => {
    const codec = codecOf();
    const wire = new Uint8Array(frame.data);
    if (wire.length === 0) return void tally.empty++;
    try {
      const parts = split(codec, wire);
      const { kid, ctr, plain } = await keys.open(parts.envelope, parts.sframe);
      const name = `${kid}/${ctr}`;
      if (seen.has(name)) return void tally.repeated++;
      seen.add(name);
      if (ctr < newest) tally.late++;
      if (ctr > newest) newest = ctr;
      const view = new DataView(plain.buffer);
      if (CODECS[plain[7]] !== codec) throw new Error(`sealed as ${CODECS[plain[7]]}`);
      const isKey = (plain[6] & 1) === 1;
      tally.frames++;
      tally.keys += Number(isKey);
      tally.largest = Math.max(tally.largest, wire.length);
      tally.ageMs = Date.now() - (view.getUint16(0) * 2 ** 32 + view.getUint32(2));
      if (codec !== 'opus') {
        tally.types[frame.type] = (tally.types[frame.type] ?? 0) + 1;
        if (isKey !== (frame.type === 'key') || (parts.key !== undefined && parts.key !== isKey))
          tally.typeWrong++;
      }
      const block = plain[6] & 2 ? 4 + view.getUint32(8) : 0;
      return plain.slice(8 + block);
    } catch (error) {
      tally.failed++;
      const head = Array.from(wire.subarray(0, 16), (byte) => byte.toString(16).padStart(2, '0')).join(' ');
      tally.lastFailure = `${error} (${wire.length} bytes: ${head})`;
    }
  };
}

function sealer(codecOf, keys, tally) {
  const session = BigInt(crypto.getRandomValues(new Uint32Array(1))[0]);
  let next = 0n;
  return async (frame) => {
    const codec = codecOf();
    const track = codec === 'opus' ? 1n : 0n;
    const kid = (session << 24n) | (track << 16n) | 1n;
    const plain = new Uint8Array(frame.data);
    if (plain.length === 0) return void tally.empty++;
    const key = codec === 'opus' || frame.type === 'key';
    const envelope = build(codec, key, plain);
    const inner = new Uint8Array(8);
    const view = new DataView(inner.buffer);
    const now = Date.now();
    view.setUint16(0, Math.floor(now / 2 ** 32));
    view.setUint32(2, now % 2 ** 32);
    inner[6] = Number(key);
    inner[7] = CODECS.indexOf(codec);
    const sealed = await keys.seal(kid, next++, envelope, concat(inner, plain));
    tally.frames++;
    tally.keys += Number(key);
    return concat(envelope, sealed);
  };
}
