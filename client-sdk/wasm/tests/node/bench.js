/** How long opening takes: the module against WebCrypto, per frame, at four sizes. `node client-sdk/wasm/tests/node/bench.js` */

import { Legs, WasmDevice, eventually, load } from './module.js';

/** Runs in node, and as text in a browser's page. Returns microseconds per frame: median and 95th percentile. */
async function measure(run, times) {
  const taken = [];
  for (let at = 0; at < times; at += 1) {
    const began = performance.now();
    await run(at);
    taken.push((performance.now() - began) * 1000);
  }
  taken.sort((one, other) => one - other);
  return [taken[times >> 1], taken[Math.floor(times * 0.95)]].map(Math.round);
}

const module = await load();
const legs = new Legs();
const server = await legs.url();
const [ada, bob] = [legs.device('ada'), new WasmDevice(module)];
const door = new WasmDevice(module);
await ada.found(server, 'Ada');
const camera = await ada.letIn(server, door, 'camera', 'Door');
await ada.letIn(server, bob, 'viewer', 'Bob');
const { session: sending } = await door.call('publish', {});
await door.told('the group is whole', (event) => event.event === 'newEpoch' && event.members === 3);
const { session: watching } = await bob.call('watch', { camera });
await bob.told('the key is known', (event) => event.event === 'stepDone' && event.step === 'keyKnown');

const VP9 = 2;
const sealer = door.core.sealer(sending);
const opener = bob.core.opener(watching);
await eventually('a sealed frame', () => sealer.seal(0, VP9, true, 0, new Uint8Array(9)) === 0);
const key = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 128 }, false, ['encrypt', 'decrypt']);
const additionalData = new Uint8Array(10);

console.log('| bytes | module seals | module opens | WebCrypto seals | WebCrypto opens |');
console.log('|---|---|---|---|---|');
for (const bytes of [1_000, 10_000, 50_000, 200_000]) {
  const times = bytes > 20_000 ? 200 : 600;
  const plain = crypto.getRandomValues(new Uint8Array(Math.min(bytes, 65_536)));
  const data = new Uint8Array(bytes).map((_, at) => plain[at % plain.length]);
  const wires = [];
  const seals = await measure(() => {
    if (sealer.seal(0, VP9, false, 0, data) !== 0) throw new Error('not sealed');
    wires.push(sealer.take());
  }, times);
  const opens = await measure((at) => {
    if (opener.open(VP9, wires[at]) !== 0) throw new Error('not opened');
    opener.take();
  }, times);
  const ivs = wires.map((_, at) => new Uint8Array(new BigUint64Array([BigInt(at), 0n]).buffer, 0, 12));
  const sealed = [];
  const encrypts = await measure(async (at) => {
    sealed.push(await crypto.subtle.encrypt({ name: 'AES-GCM', iv: ivs[at], additionalData }, key, data));
  }, times);
  const decrypts = await measure(
    (at) => crypto.subtle.decrypt({ name: 'AES-GCM', iv: ivs[at], additionalData }, key, sealed[at]),
    times,
  );
  const cells = [seals, opens, encrypts, decrypts].map(([half, most]) => `${half} (${most})`);
  console.log(`| ${bytes} | ${cells.join(' | ')} |`);
}
await legs.end();
process.exit(0);
