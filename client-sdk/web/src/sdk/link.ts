/** The line between page and worker: calls with their replies by number, and events. */

import type { Calls as CoreCalls, Event as WorkerEvent, Fault } from './generated/face.ts';
import type { LockCalls } from './lock.ts';

/** Everything that a page may ask its worker for. */
export type Calls = CoreCalls & LockCalls;

/** What the page posts to the worker. */
export interface CallMessage {
  /** Comes back with the reply. */
  id: number;
  /** Name of the call. */
  call: keyof Calls;
  /** Its argument. */
  with: unknown;
}

/** What the worker posts to the page: the reply of a call, its fault, or an event. */
export type WorkerMessage = { id: number; reply: unknown } | { id: number; fault: Fault } | WorkerEvent;

/** A call that did nothing, or not everything. `code` is for programs, `message` one sentence for people. */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly code: string;

  constructor(code: string, text: string) {
    super(text);
    this.code = code;
  }
}

/** The part of Worker that a link needs. */
export type WorkerPort = Pick<Worker, 'postMessage' | 'addEventListener' | 'terminate'>;

/** Calls into one worker. The worker alone holds keys; nothing that passes here opens a frame. */
export class WorkerLink {
  readonly #port: WorkerPort;
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(why: Failure): void }>();
  readonly #listeners = new Set<(event: WorkerEvent) => void>();
  #next = 1;
  #broken: Failure | undefined;

  constructor(port: WorkerPort) {
    this.#port = port;
    port.addEventListener('message', (message) => this.#take(message.data as WorkerMessage));
    port.addEventListener('error', (error) => this.#break(error.message || 'it could not be loaded'));
    port.addEventListener('messageerror', () => this.#break('a message could not be read'));
  }

  /** The worker itself, for RTCRtpScriptTransform. */
  get worker(): Worker {
    return this.#port as Worker;
  }

  /** Calls the worker; what is to `move` is not here any more then. Rejects with a {@link Failure}. */
  call<Name extends keyof Calls>(
    name: Name,
    argument: Calls[Name][0],
    move: Transferable[] = [],
  ): Promise<Calls[Name][1]> {
    if (this.#broken) return Promise.reject(this.#broken);
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.#port.postMessage({ id, call: name, with: argument } satisfies CallMessage, move);
    });
  }

  /** Hears every event until the returned function is called. */
  listen(listener: (event: WorkerEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Ends the worker. Calls under way reject. */
  close(): void {
    this.#port.terminate();
    this.#fail(new Failure('closed', 'The page has let go of its worker. Load it again.'));
  }

  #take(message: WorkerMessage): void {
    if ('event' in message) {
      for (const listener of [...this.#listeners]) listener(message);
      return;
    }
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if ('fault' in message) waiting?.reject(new Failure(message.fault.code, message.fault.text));
    else waiting?.resolve(message.reply);
  }

  #break(why: string): void {
    this.#fail(
      new Failure(
        'worker',
        `The part of this page that holds the keys failed (${why}). Load the page again.`,
      ),
    );
  }

  #fail(failure: Failure): void {
    this.#broken = failure;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(failure);
  }
}
