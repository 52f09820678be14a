/** Starts the worker that holds the keys. */

/** Returns a new worker. One is enough for a page, and for all of a browser's pages only one may run at a time. */
export function startWorker(): Worker {
  return new Worker(new URL('../worker/worker.ts', import.meta.url), { type: 'module', name: 'latchkey' });
}
