/** Where the built app is, and what is in it. */

import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** The folder of the built app. */
export const folder = resolve(root, process.env.LATCHKEY_WEB_OUT ?? '../../target/web');

/** Every file of the built app but its compressed copies: its path in the folder, with slashes, and its bytes. */
export function files() {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.(br|gz)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path: path.slice(folder.length + 1).replaceAll('\\', '/'), bytes: readFileSync(path) }))
    .sort((one, other) => (one.path < other.path ? -1 : 1));
}
