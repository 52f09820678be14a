/** The worker of a page: it alone holds keys. It answers calls, tells events, opens and seals frames. */

import type { Calls, Event as WorkerEvent } from '../sdk/generated/face.ts';
import type { CallMessage, WorkerMessage } from '../sdk/link.ts';
import { Machine, Refusal } from './machine.ts';
import { takeHold } from './ownership.ts';
import { Storage } from './storage.ts';
import { Transforms } from './transforms.ts';
import init, { Core, __wbg_reset_state } from './wasm/latchkey_wasm.js';

declare const self: DedicatedWorkerGlobalScope;
declare global {
  // The module calls it when it panics.
  var latchkeyPanicked: (what: string) => void;
}

let machine: Promise<Machine> | undefined;
let running: Machine | undefined;
let made = 0;

/** Frames may come before the page's first call is answered: their transforms wait for keys then. */
const transforms = new Transforms({
  opener: (session) => running?.opener(session),
  sealer: (session) => running?.sealer(session),
});

globalThis.latchkeyPanicked = (what) => running?.failed(what);
self.onrtctransform = (event) => transforms.begin(event.transformer);
self.onmessage = (message: MessageEvent<CallMessage>) => void answer(message.data);
setInterval(() => running?.tick(), 1_000);

async function answer({ id, call, with: argument }: CallMessage): Promise<void> {
  try {
    const reply: unknown = await (await begun()).call(call, argument as Calls[typeof call][0]);
    post({ id, reply });
  } catch (error) {
    const fault = error instanceof Refusal ? error.fault : { code: 'failed', text: String(error) };
    post({ id, fault });
  }
}

/** Begins once; what kept it from beginning may be over at the next call. */
function begun(): Promise<Machine> {
  machine ??= begin().catch((error: unknown) => {
    machine = undefined;
    throw error;
  });
  return machine;
}

async function begin(): Promise<Machine> {
  if (!isSecureContext || typeof indexedDB === 'undefined') {
    throw new Refusal({ code: 'insecure', text: INSECURE });
  }
  if (!(await takeHold())) throw new Refusal({ code: 'elsewhere', text: ELSEWHERE });
  const storage = await Storage.open().catch((error: unknown) => {
    throw new Refusal({ code: 'storage', text: `${NO_STORAGE} (${String(error)}).` });
  });
  await init({ module_or_path: new URL('./wasm/latchkey_wasm_bg.wasm', import.meta.url) });
  const starting = new Machine(
    (surroundings, stored) => {
      // Memory in which something failed is not used again.
      if (made++ > 0) __wbg_reset_state();
      return new Core(surroundings, stored);
    },
    storage,
    { tell: post, retry: (session) => transforms.retry(session) },
  );
  await starting.begin();
  running = starting;
  return starting;
}

function post(message: WorkerMessage | WorkerEvent): void {
  self.postMessage(message);
}

const INSECURE =
  'This page came over a connection that is not secure, so the browser gives it no cryptography: open it by https, or on the machine itself as http://localhost.';
const ELSEWHERE =
  'Latchkey is open in another tab of this browser: go on there, or close it and load this page again.';
const NO_STORAGE =
  'This browser keeps nothing for this page, perhaps because the window is private: use an ordinary one';
