/** The module that is the device: loaded, called, and after a failure begun anew from what is stored. */

import type { Calls, Event as WorkerEvent, Fault } from '../sdk/generated/face.ts';
import type { Core, Opener, Sealer, Surroundings } from './wasm/latchkey_wasm.js';

/** Where openers and sealers come from; undefined while there is none, such as after a session's end. */
export interface FrameKeys {
  opener(session: number): Opener | undefined;
  sealer(session: number): Sealer | undefined;
}

/** What stores the device's state. */
export interface StateStorage {
  read(): Promise<Uint8Array | undefined>;
  write(state: Uint8Array): Promise<void>;
  erase(): Promise<void>;
}

/** How a core is made; after a failure on fresh memory. */
export type MakeCore = (surroundings: Surroundings, stored: Uint8Array | undefined) => Core;

/** What the page hears. */
export interface Listener {
  /** An event of the face. */
  tell(event: WorkerEvent): void;
  /** Frames of this session that wait should be tried again. */
  retry(session: number): void;
}

/** A call that came to nothing. */
export class Refusal extends Error {
  readonly fault: Fault;

  constructor(fault: Fault) {
    super(fault.text);
    this.fault = fault;
  }
}

/** A running watch or camera: how it was begun, and its number in the core of the moment. */
interface Session {
  call: 'watch' | 'publish';
  with: unknown;
  number: number | undefined;
}

/** The device in this worker. Session numbers that the page knows stay good when the core begins anew. */
export class Machine implements FrameKeys {
  readonly #make: MakeCore;
  readonly #storage: StateStorage;
  readonly #listener: Listener;
  readonly #sessions = new Map<number, Session>();
  readonly #openers = new Map<number, Opener>();
  readonly #sealers = new Map<number, Sealer>();
  readonly #pending = new Set<(why: Refusal) => void>();
  #core: Core | undefined;
  #lastSession = 0;
  #life = 0;
  #failures: number[] = [];

  constructor(make: MakeCore, storage: StateStorage, listener: Listener) {
    this.#make = make;
    this.#storage = storage;
    this.#listener = listener;
  }

  /** Reads what is stored and begins. Rejects with a {@link Refusal}. */
  async begin(): Promise<void> {
    const life = ++this.#life;
    const stored = await this.#storage.read();
    try {
      this.#core = this.#make(this.#surroundings(life), stored);
    } catch (error) {
      throw refusal(error);
    }
  }

  /** Does a call of the page. Rejects with a {@link Refusal}. */
  async call<Name extends keyof Calls>(name: Name, argument: Calls[Name][0]): Promise<Calls[Name][1]> {
    const session = (argument as { session?: number }).session;
    const known = session === undefined ? undefined : this.#sessions.get(session);
    const number = known?.number;
    const reply = await this.#ask(name, number === undefined ? argument : { ...argument, session: number });
    if (name === 'watch' || name === 'publish') {
      const page = ++this.#lastSession;
      const begun = (reply as Calls['watch'][1]).session;
      this.#sessions.set(page, { call: name, with: argument, number: begun });
      return { session: page } as Calls[Name][1];
    }
    if ((name === 'unwatch' || name === 'unpublish') && session !== undefined) this.#forget(session);
    if (name === 'forget') for (const page of [...this.#sessions.keys()]) this.#forget(page);
    return reply;
  }

  /** Tells figures; to be called once a second. */
  tick(): void {
    try {
      this.#core?.tick();
    } catch {
      // It has told so itself.
    }
  }

  opener(session: number): Opener | undefined {
    return this.#frames(session, this.#openers, (core, number) => core.opener(number));
  }

  sealer(session: number): Sealer | undefined {
    return this.#frames(session, this.#sealers, (core, number) => core.sealer(number));
  }

  /** The module failed. Nothing of it is used any more; it begins anew, and its sessions with it. */
  failed(what: string): void {
    if (this.#core === undefined) return;
    this.#core = undefined;
    this.#life += 1;
    this.#openers.clear();
    this.#sealers.clear();
    for (const session of this.#sessions.values()) session.number = undefined;
    const why = new Refusal({ code: 'failed', text: `${FAILED} (${what}).` });
    for (const reject of [...this.#pending]) reject(why);
    const now = performance.now();
    this.#failures = [...this.#failures.filter((at) => now - at < FAILURES_WITHIN), now];
    this.#listener.tell({ event: 'note', session: null, text: why.message });
    if (this.#failures.length <= MOST_FAILURES) setTimeout(() => void this.#beginAnew(), 0);
    else this.#endAll(GIVEN_UP);
  }

  async #beginAnew(): Promise<void> {
    try {
      await this.begin();
      for (const session of this.#sessions.values()) {
        const begun = await this.#ask(session.call, session.with as never);
        session.number = begun.session;
      }
    } catch (error) {
      this.#endAll(error instanceof Error ? error.message : GIVEN_UP);
    }
  }

  #endAll(reason: string): void {
    for (const session of [...this.#sessions.keys()]) {
      this.#forget(session);
      this.#listener.tell({ event: 'ended', session, reason });
    }
  }

  async #ask<Name extends keyof Calls>(call: Name, argument: Calls[Name][0]): Promise<Calls[Name][1]> {
    const core = this.#core;
    if (core === undefined) throw new Refusal({ code: 'failed', text: GIVEN_UP });
    let giveUp: ((why: Refusal) => void) | undefined;
    const failing = new Promise<never>((_, reject) => (giveUp = reject));
    if (giveUp !== undefined) this.#pending.add(giveUp);
    try {
      const asking = core.call(JSON.stringify({ [call]: argument }));
      return JSON.parse(await Promise.race([asking, failing])) as Calls[Name][1];
    } catch (error) {
      throw refusal(error);
    } finally {
      if (giveUp !== undefined) this.#pending.delete(giveUp);
    }
  }

  #frames<T>(
    session: number,
    known: Map<number, T>,
    make: (core: Core, number: number) => T | undefined,
  ): T | undefined {
    const there = known.get(session);
    if (there !== undefined) return there;
    const number = this.#sessions.get(session)?.number;
    const made = number === undefined || this.#core === undefined ? undefined : make(this.#core, number);
    if (made !== undefined) known.set(session, made);
    return made;
  }

  #forget(session: number): void {
    this.#sessions.delete(session);
    this.#openers.delete(session);
    this.#sealers.delete(session);
  }

  /** What a core hears of this worker; a core that has failed is not heard any more. */
  #surroundings(life: number): Surroundings {
    const alive = (): boolean => this.#life === life;
    return {
      tell: (event) => {
        if (!alive()) return;
        // After the reply of the call in which it came up.
        setTimeout(() => this.#tell(JSON.parse(event) as WorkerEvent, life), 0);
      },
      retry: (number) => {
        const session = this.#pageNumber(number);
        if (session !== undefined) setTimeout(() => this.#listener.retry(session), 0);
      },
      store: (state) => (alive() ? this.#storage.write(state) : Promise.reject(new Error(FAILED))),
      erase: () => void (alive() && this.#storage.erase().catch(() => undefined)),
    };
  }

  #tell(event: WorkerEvent, life: number): void {
    if (this.#life !== life) return;
    if ('session' in event && event.session !== null) {
      const session = this.#pageNumber(event.session);
      if (session === undefined) return;
      event = { ...event, session };
      if (event.event === 'ended') this.#forget(session);
    }
    this.#listener.tell(event);
  }

  #pageNumber(number: number): number | undefined {
    for (const [page, session] of this.#sessions) if (session.number === number) return page;
    return undefined;
  }
}

function refusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (typeof error === 'string') {
    try {
      return new Refusal(JSON.parse(error) as Fault);
    } catch {
      // Not one of ours.
    }
  }
  return new Refusal({ code: 'failed', text: `${FAILED} (${String(error)}).` });
}

const FAILED = 'The part of this page that holds the keys failed and starts anew';
const GIVEN_UP = 'The part of this page that holds the keys fails again and again: load the page again.';
/** Milliseconds within which failures are counted together. */
const FAILURES_WITHIN = 60_000;
const MOST_FAILURES = 3;
