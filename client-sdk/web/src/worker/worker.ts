/** The worker of a page: it alone holds keys. It answers calls, tells events, opens and seals frames. */

import type { Event as WorkerEvent } from '../sdk/generated/face.ts';
import type { Calls, CallMessage, WorkerMessage } from '../sdk/link.ts';
import type { LockCalls } from '../sdk/lock.ts';
import { Machine, Refusal } from './machine.ts';
import { takeHold } from './ownership.ts';
import { LockedError, Storage, WrongAnswerError } from './storage.ts';
import { Transforms } from './transforms.ts';
import init, { Core, __wbg_reset_state } from './wasm/latchkey_wasm.js';

declare const self: DedicatedWorkerGlobalScope;
declare global {
  // The module calls it when it panics.
  var latchkeyPanicked: (what: string) => void;
}

let storage: Promise<Storage> | undefined;
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
    const reply: unknown =
      call in aboutLock
        ? await answerLock(call as keyof LockCalls, argument)
        : await (await begun()).call(call as Exclude<typeof call, keyof LockCalls>, argument as never);
    post({ id, reply });
  } catch (error) {
    const fault = error instanceof Refusal ? error.fault : { code: 'failed', text: String(error) };
    post({ id, fault });
  }
}

/** What is kept can be locked, opened and erased before any of it is read. */
const aboutLock: { [Name in keyof LockCalls]: (stored: Storage, argument: Calls[Name][0]) => Promise<void> } =
  {
    lockState: async () => undefined,
    unlock: (stored, { answer }) => stored.unlock(answer),
    lock: (stored, { lock, answer }) => stored.lock(lock, answer),
    takeLockOff: (stored) => stored.takeLockOff(),
    eraseLocked: (stored) => stored.erase(),
  };

async function answerLock(call: keyof LockCalls, argument: unknown): Promise<unknown> {
  const stored = await opened();
  if (call === 'eraseLocked' && !stored.lockState.locked) {
    throw new Refusal({ code: 'not-locked', text: 'what this browser keeps is not locked' });
  }
  try {
    await aboutLock[call](stored, argument as never);
  } catch (error) {
    if (error instanceof WrongAnswerError) throw new Refusal({ code: 'wrong-passkey', text: WRONG_PASSKEY });
    if (error instanceof LockedError) throw new Refusal({ code: 'locked', text: LOCKED });
    throw error;
  }
  return stored.lockState;
}

/** Takes hold of the device and opens its storage, once. */
function opened(): Promise<Storage> {
  storage ??= takeUp().catch((error: unknown) => {
    storage = undefined;
    throw error;
  });
  return storage;
}

/** Begins once; what kept it from beginning may be over at the next call. */
function begun(): Promise<Machine> {
  machine ??= begin().catch((error: unknown) => {
    machine = undefined;
    throw error;
  });
  return machine;
}

async function takeUp(): Promise<Storage> {
  if (!isSecureContext || typeof indexedDB === 'undefined') {
    throw new Refusal({ code: 'insecure', text: INSECURE });
  }
  if (!(await takeHold())) throw new Refusal({ code: 'elsewhere', text: ELSEWHERE });
  return Storage.open().catch((error: unknown) => {
    throw new Refusal({ code: 'storage', text: `${NO_STORAGE} (${String(error)}).` });
  });
}

async function begin(): Promise<Machine> {
  const stored = await opened();
  if (stored.lockState.locked) throw new Refusal({ code: 'locked', text: LOCKED });
  await init({ module_or_path: new URL('./wasm/latchkey_wasm_bg.wasm', import.meta.url) });
  const starting = new Machine(
    (surroundings, state) => {
      // Memory in which something failed is not used again.
      if (made++ > 0) __wbg_reset_state();
      return new Core(surroundings, state);
    },
    stored,
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
const LOCKED = 'What this browser keeps is locked with a passkey: unlock it first.';
const WRONG_PASSKEY = 'That passkey does not open what this browser keeps: use the one that locked it.';
const NO_STORAGE =
  'This browser keeps nothing for this page, perhaps because the window is private: use an ordinary one';
