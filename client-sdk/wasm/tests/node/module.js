/** The module in node, without a worker around it; and a native device with the same face beside it. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const BUILT = new URL('../../../web/src/worker/wasm/', import.meta.url);
const TARGET = process.env.CARGO_TARGET_DIR ?? new URL('../../../../target', import.meta.url).pathname;

/** Loads what `make wasm` built. */
export async function load() {
  const module = await import(new URL('latchkey_wasm.js', BUILT).href);
  module.initSync({ module: readFileSync(new URL('latchkey_wasm_bg.wasm', BUILT)) });
  return module;
}

/** What both kinds of device have in common. */
class Device {
  /** Waits until it was told something that `wanted` picks. */
  async told(what, wanted) {
    return eventually(what, async () => (await this.events()).find(wanted));
  }

  /** Founds a household. */
  async found(server, name) {
    await this.call('prepareHousehold', { server, deviceName: name });
    return this.call('found', { inviteCode: null });
  }

  /** Lets `device` in by the code that it shows. */
  async letIn(server, device, role, name) {
    const kind = role === 'camera' ? 'camera' : 'viewer';
    const { shown } = await device.call('arrive', { server, kind, by: 'code' });
    const terms = { role, name, rights: null, cameras: null, days: null };
    await this.call('letIn', { shown, terms });
    await this.call('confirm', {});
    const admitted = await this.call('admit', {});
    await device.told(`${name} is listed`, (event) => event.stage?.is === 'listed');
    return admitted.device;
  }
}

/** A device in the module. */
export class WasmDevice extends Device {
  told_ = [];
  stored;

  constructor(module, stored) {
    super();
    this.module = module;
    this.core = new module.Core(
      {
        tell: (event) => this.told_.push(JSON.parse(event)),
        retry: () => undefined,
        store: async (state) => void (this.stored = state),
        erase: () => (this.stored = undefined),
      },
      stored,
    );
  }

  async call(call, argument) {
    try {
      return JSON.parse(await this.core.call(JSON.stringify({ [call]: argument })));
    } catch (error) {
      throw new Error(`${call}: ${error}`, { cause: error });
    }
  }

  async events() {
    return this.told_;
  }

  async seal(session, { codec, key, data }) {
    const sealer = this.core.sealer(session);
    const verdict = sealer.seal(0, codec, key, 0, Buffer.from(data, 'hex'));
    return verdict === 0 ? Buffer.from(sealer.take()).toString('hex') : undefined;
  }

  async open(session, codec, wire) {
    const opener = this.core.opener(session);
    const verdict = opener.open(codec, Buffer.from(wire, 'hex'));
    if (verdict === 0) return { plain: Buffer.from(opener.take()).toString('hex') };
    return { verdict: this.module.Verdict[verdict] };
  }
}

/** A server and native devices, in a process of their own. */
export class Legs {
  #waiting = new Map();
  #next = 1;

  constructor() {
    this.process = spawn(`${TARGET}/debug/examples/leg`, { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface(this.process.stdout).on('line', (line) => {
      const said = JSON.parse(line);
      this.#waiting.get(said.id)?.(said);
      this.#waiting.delete(said.id);
    });
  }

  async ask(page, call, argument) {
    const id = this.#next++;
    const said = new Promise((resolve) => this.#waiting.set(id, resolve));
    this.process.stdin.write(`${JSON.stringify({ id, page, call, with: argument })}\n`);
    const { reply, fault } = await said;
    if (fault) throw new Error(`${call}: ${JSON.stringify(fault)}`);
    return reply;
  }

  async url() {
    return (await this.ask('', 'serve', {})).url;
  }

  device(page) {
    return new NativeDevice(this, page);
  }

  /** Ends the process. What the devices of the module still hold open ends with `--test-force-exit`. */
  async end() {
    this.process.kill();
    if (this.process.exitCode === null && this.process.signalCode === null) await once(this.process, 'exit');
  }
}

class NativeDevice extends Device {
  constructor(legs, page) {
    super();
    this.legs = legs;
    this.page = page;
  }

  call(call, argument) {
    return this.legs.ask(this.page, call, argument);
  }

  events() {
    return this.call('events', {});
  }

  async seal(session, { codec, key, data }) {
    return (await this.call('seal', { session, codec, key, data })).wire;
  }

  open(session, codec, wire) {
    return this.call('open', { session, codec, wire });
  }
}

/** Waits until `found` returns something; 30 s is a limit for what must happen at all. */
export async function eventually(what, found) {
  const began = performance.now();
  for (;;) {
    const there = await found();
    if (there) return there;
    if (performance.now() - began > 30_000) throw new Error(`${what} did not come about`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Encoded frames that a packetiser would take, a key frame and another one of each codec, by the codec's number. */
export const FRAMES = [
  { codec: 0, key: true, data: '000000016742c01eda0280b7fe22400000000168ce3c800000000165888421a0' },
  { codec: 0, key: false, data: '00000001419a02040000000000000301' },
  { codec: 1, key: true, data: 'd0dc019d012a4001b400aabbccdd' },
  { codec: 1, key: false, data: '310203040506' },
  { codec: 2, key: true, data: '824983420013f00ef6' },
  { codec: 2, key: false, data: '860040929c' },
  { codec: 3, key: true, data: '0a0b0000000424c6ab9fffe640320210001234' },
  { codec: 3, key: false, data: '32023000' },
  { codec: 4, key: true, data: 'fcfffe0102' },
  { codec: 4, key: true, data: 'fc0a0b0c' },
];

