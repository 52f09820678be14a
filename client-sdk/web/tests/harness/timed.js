/** The built app with a clock in its worker: how long each frame of the picture takes there. */

import { cp, mkdtemp, readFile, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { appDir } from './server.js';

/** A copy of the app whose worker tells the page, once a second, the microseconds that each frame took. */
export async function timedApp() {
  const folder = await mkdtemp(path.join(tmpdir(), 'latchkey-timed-'));
  await cp(appDir, folder, { recursive: true, filter: (file) => !/\.(br|gz)$/.test(file) });
  const assets = path.join(folder, 'assets');
  const worker = (await readdir(assets)).find((file) => /^worker-.*\.js$/.test(file));
  if (!worker) throw new Error(`${assets} holds no worker`);
  const file = path.join(assets, worker);
  await writeFile(file, `(${clock})();\n${await readFile(file, 'utf8')}`);
  return folder;
}

/** Runs in the worker before its own code: takes the time of each transform of a frame. */
function clock() {
  let micros = [];
  const Plain = self.TransformStream;
  self.TransformStream = class extends Plain {
    constructor(given, ...strategies) {
      const { transform } = given;
      super(
        {
          ...given,
          transform(frame, controller) {
            const began = performance.now();
            const done = transform(frame, controller);
            // Sound has no type.
            if (frame.type) micros.push((performance.now() - began) * 1000);
            return done;
          },
        },
        ...strategies,
      );
    }
  };
  setInterval(() => {
    if (micros.length > 0) self.postMessage({ event: 'opening', micros });
    micros = [];
  }, 1000);
}
