/** Processor time of the threads in which a browser runs dedicated workers, read from /proc. */

import { readFileSync, readdirSync } from 'node:fs';

/** How browsers name those threads (15 letters at most). */
const WORKERS = /^(DedicatedWorker|DOM Worker)/;
/** Clock ticks a second on Linux. */
const TICKS = 100;

/**
 * Seconds of processor time that all workers of a browser have used so far.
 * @param {import('./browsers.js').Browser} browser
 */
export async function workerSeconds(browser) {
  const parents = new Map(numbers('/proc').map((pid) => [pid, parentOf(pid)]));
  const belongs = (pid) => pid === browser.pid || (parents.get(pid) > 1 && belongs(parents.get(pid)));
  let ticks = 0;
  for (const pid of [...parents.keys()].filter(belongs)) {
    for (const thread of numbers(`/proc/${pid}/task`)) {
      const fields = read(`/proc/${pid}/task/${thread}/stat`);
      const name = fields.slice(fields.indexOf('(') + 1, fields.lastIndexOf(')'));
      if (!WORKERS.test(name)) continue;
      const [utime, stime] = fields
        .slice(fields.lastIndexOf(')') + 2)
        .split(' ')
        .slice(11, 13);
      ticks += Number(utime) + Number(stime);
    }
  }
  return ticks / TICKS;
}

/** Processes that this process started and that run. */
export function childrenOf(pid) {
  return numbers('/proc').filter((one) => parentOf(one) === pid);
}

function parentOf(pid) {
  const fields = read(`/proc/${pid}/stat`);
  return Number(fields.slice(fields.lastIndexOf(')') + 2).split(' ')[1]);
}

function numbers(folder) {
  try {
    return readdirSync(folder).map(Number).filter(Boolean);
  } catch {
    return [];
  }
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
