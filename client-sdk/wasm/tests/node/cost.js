/** What sealing and opening a frame costs, in node and in browsers alike: the module as it is used, and WebCrypto. */

import { WasmDevice, eventually, watchedDoor } from './device.js';

/** Frames of these sizes, of each codec: with nothing around them, and with an envelope and escapes. */
const SIZES = [1_000, 10_000, 50_000, 100_000, 200_000];
const CODECS = [
  { name: 'VP9', number: 2, key: new Uint8Array([0x82, 0x49, 0x83, 0x42]) },
  {
    name: 'H.264',
    number: 0,
    key: new Uint8Array([
      ...[0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xb7, 0xfe, 0x22, 0x40],
      ...[0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80, 0, 0, 0, 1, 0x65, 0x88, 0x84],
    ]),
  },
];
/** Milliseconds for each number of the table. */
const LONG_ENOUGH = 400;

/**
 * Founds a household of the module's own devices at this server, and takes times at its camera and viewer.
 * @returns {Promise<{codec: string, bytes: number, seals: number[], opens: number[], encrypts: number[], decrypts: number[]}[]>}
 * microseconds: median and 95th percentile
 */
export async function costs(module, server) {
  const [ada, door, bob] = [new WasmDevice(module), new WasmDevice(module), new WasmDevice(module)];
  const { sending, watching } = await watchedDoor(server, [ada, door, bob]);
  const [sealer, opener] = [door.core.sealer(sending), bob.core.opener(watching)];
  const rows = [];
  for (const codec of CODECS) {
    for (const bytes of SIZES) rows.push(await row(module, codec, bytes, sealer, opener));
  }
  return rows;
}

/** Rows as a table in Markdown. */
export function table(rows) {
  const cell = ([half, most]) => `${half} (${most})`;
  return [
    '| codec | bytes | module seals | module opens | WebCrypto seals | WebCrypto opens |',
    '| --- | --- | --- | --- | --- | --- |',
    ...rows.map(({ codec, bytes, seals, opens, encrypts, decrypts }) => {
      const cells = [seals, opens, encrypts, decrypts].map(cell);
      return `| ${codec} | ${bytes.toLocaleString('en')} | ${cells.join(' | ')} |`;
    }),
  ];
}

async function row(module, codec, bytes, sealer, opener) {
  const { Pass } = module.Verdict;
  const data = frame(codec, bytes);
  const seal = (key) => sealer.seal(0, codec.number, key, 0, data) === Pass && sealer.take();
  await eventually('a sealed key frame', async () => seal(true));
  const wires = [];
  const seals = await measure(() => {
    const wire = seal(false);
    if (!wire) throw new Error('not sealed');
    wires.push(wire);
  });
  // Older ones are behind the replay window.
  const fresh = wires.slice(-1000);
  const opens = await measure((at) => {
    if (opener.open(codec.number, fresh[at]) !== Pass || !opener.take()) throw new Error('not opened');
  }, fresh.length);
  const key = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 128 }, false, [
    'encrypt',
    'decrypt',
  ]);
  const additionalData = new Uint8Array(10);
  const way = (at) => ({
    name: 'AES-GCM',
    iv: new Uint8Array(new Uint32Array([at, 0, 0]).buffer),
    additionalData,
  });
  const sealed = [];
  const encrypts = await measure(async (at) => sealed.push(await crypto.subtle.encrypt(way(at), key, data)));
  const decrypts = await measure((at) => crypto.subtle.decrypt(way(at), key, sealed[at]), sealed.length);
  return { codec: codec.name, bytes, seals, opens, encrypts, decrypts };
}

/** Bytes that look like a frame of this codec to an envelope, and like noise to everything else. */
function frame({ key }, bytes) {
  const data = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += 65_536) crypto.getRandomValues(data.subarray(at, at + 65_536));
  data.set(key);
  return data;
}

/** Microseconds that one run takes: median and 95th percentile. */
async function measure(run, most = 1000) {
  const taken = [];
  const end = performance.now() + LONG_ENOUGH;
  for (let at = 0; at < most && (at < 50 || performance.now() < end); at += 1) {
    const began = performance.now();
    await run(at);
    taken.push((performance.now() - began) * 1000);
  }
  taken.sort((one, other) => one - other);
  return [0.5, 0.95].map((share) => Math.round(taken[Math.floor(taken.length * share)]));
}
