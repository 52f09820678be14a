/** Where things are: the project, what was built, and what tests leave to be looked at. */

import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's root folder. */
export const root = path.resolve(fileURLToPath(import.meta.url), '../../../../..');
/** Cargo's target folder. */
export const target = path.resolve(root, process.env.CARGO_TARGET_DIR ?? 'target');
/** Screenshots and logs. */
export const artifacts = path.join(target, 'web-artifacts');
/** The bundled clips. */
export const clips = path.join(root, 'loadtest/clips');

/**
 * A program that cargo built.
 * @param {string} name as in target/debug, for instance `examples/legs`
 */
export function built(name) {
  const file = path.join(target, process.env.LATCHKEY_PROFILE ?? 'debug', name);
  if (!existsSync(file)) throw new Error(`${file} is not built: run "make test-web"`);
  return file;
}
