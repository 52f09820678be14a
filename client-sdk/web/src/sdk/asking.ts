/** Asks for something until it is had, or nobody wants it any more. */

import { Failure } from './link.ts';
import { Backoff } from './patience.ts';
import type { Waker } from './waker.ts';

/**
 * Returns what `ask` comes to; undefined when `done` says that nobody wants it any more.
 *
 * A failure of the network is tried again, with `why` told each time; others reject, for they do not pass by themselves.
 */
export async function askUntilDone<T>(
  ask: () => Promise<T>,
  why: (reason: string) => void,
  waker: Waker,
  done: () => boolean,
): Promise<T | undefined> {
  const backoff = new Backoff();
  while (!done()) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof Failure) || !PASSING.includes(error.code)) throw error;
      why(error.message);
      if (await waker.sleep(backoff.next(Math.random()))) backoff.reset();
    }
  }
  return undefined;
}

/** Codes of what passes by itself: nobody answered, or the server is busy. */
const PASSING = ['unreachable', 'unavailable', 'draining', 'rate-limited'];
