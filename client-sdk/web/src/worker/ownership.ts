/** One worker of this browser holds the device: two would use the same keys. */

/**
 * Takes hold of this browser's device until this worker ends; returns whether it could.
 *
 * A page that is loaded anew waits for the worker of the page before, which is just ending.
 */
export function takeHold(patience = PATIENCE): Promise<boolean> {
  return new Promise((resolve) => {
    const never = new Promise<void>(() => undefined);
    const held = (): Promise<void> => {
      resolve(true);
      return never;
    };
    navigator.locks
      .request(LOCK, { signal: AbortSignal.timeout(patience) }, held)
      .catch(() => resolve(false));
  });
}

const LOCK = 'latchkey-device';
/** Milliseconds that a worker may take to end with its page. */
const PATIENCE = 1_500;
