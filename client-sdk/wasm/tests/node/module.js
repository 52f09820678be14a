/** The module in node, without a worker around it; and a native device with the same face beside that one. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

import { Device } from './device.js';

export { WasmDevice, eventually, watchedDoor } from './device.js';

const BUILT = new URL('../../../web/src/worker/wasm/', import.meta.url);
const TARGET = process.env.CARGO_TARGET_DIR ?? new URL('../../../../target', import.meta.url).pathname;

/** Loads what `make wasm` built. */
export async function load() {
  const module = await import(new URL('latchkey_wasm.js', BUILT).href);
  module.initSync({ module: readFileSync(new URL('latchkey_wasm_bg.wasm', BUILT)) });
  return module;
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
